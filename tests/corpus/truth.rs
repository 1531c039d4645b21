//! What a capture holds by the word of independent decoders, and how what was read differs from it. The
//! conventions are those of the corpus's README and its scorer.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use shadowcap::exchange::Exchange;
use shadowcap::http::Body;

/// A capture of the corpus.
#[derive(Deserialize)]
pub(crate) struct Capture {
    pub(crate) repo: String,
    pub(crate) path: String,
    pub(crate) class: String,
    pub(crate) exchanges: Vec<Wanted>,
}

impl Capture {
    /// Exchanges by themselves.
    pub(crate) fn parse(json: &str) -> Vec<Wanted> {
        serde_json::from_str(json).unwrap()
    }
}

/// An exchange as it should be read. A value of `"?"` says nothing.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    method: Option<String>,
    target: Option<String>,
    #[serde(default)]
    ver: String,
    status: Value,
    req_len: Value,
    rsp_len: Value,
    req_sha: Option<String>,
    rsp_sha: Option<String>,
    /// It may be read or not.
    opt: Option<String>,
}

pub(crate) fn load(path: &Path) -> Vec<Capture> {
    #[derive(Deserialize)]
    struct Truth {
        captures: Vec<Capture>,
    }
    let truth: Truth = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    truth.captures
}

/// What is missing, wrong or too much. What goes by HTTP/2 is not read as exchanges.
pub(crate) fn differences(wanted: &[Wanted], read: &[Exchange]) -> Vec<String> {
    let (may, mut must): (Vec<_>, Vec<_>) =
        wanted.iter().filter(|wanted| wanted.ver != "2").partition(|wanted| wanted.opt.is_some());
    let mut left: Vec<_> = read.iter().collect();
    let mut take = |is_it: &dyn Fn(&Exchange) -> bool| {
        left.iter().position(|exchange| is_it(exchange)).map(|place| left.remove(place)).is_some()
    };
    // Those that say most choose first.
    must.sort_by_key(|wanted| wanted.unsaid());
    let mut found = Vec::new();
    for wanted in must {
        if !take(&|exchange| wanted.is(exchange)) {
            let Wanted { method, target, status, req_len, rsp_len, .. } = wanted;
            found.push(format!("missing: {method:?} {target:?} -> {status} ({req_len}/{rsp_len} bytes)"));
        }
    }
    for wanted in may {
        let _ = take(&|exchange| wanted.is_roughly(exchange))
            || take(&|exchange| {
                wanted.method.as_deref().is_some_and(|m| m.as_bytes() == exchange.request.head.method())
            });
    }
    found.extend(left.iter().map(|exchange| format!("extra: {}", crate::line(exchange))));
    found
}

impl Wanted {
    fn unsaid(&self) -> usize {
        let texts = [&self.method, &self.target].into_iter().filter(|text| text.as_deref() == Some("?"));
        texts.count() + [&self.status, &self.req_len, &self.rsp_len].into_iter().filter(|n| *n == "?").count()
    }

    fn is(&self, exchange: &Exchange) -> bool {
        let response = exchange.response.as_ref();
        self.is_roughly(exchange)
            && is_number(&self.req_len, exchange.request.body.len)
            && is_number(&self.rsp_len, response.map_or(0, |response| response.body.len))
            && is_digest(self.req_sha.as_deref(), Some(&exchange.request.body))
            && is_digest(self.rsp_sha.as_deref(), response.map(|response| &response.body))
    }

    fn is_roughly(&self, exchange: &Exchange) -> bool {
        let head = &exchange.request.head;
        let status = exchange.response.as_ref().map(|response| response.head.status);
        is_text(self.method.as_deref(), head.method())
            && is_text(self.target.as_deref(), head.target())
            && (self.status == "?" || self.status.as_u64() == status.map(u64::from))
    }
}

/// A length; `null` where there is nothing.
fn is_number(wanted: &Value, read: u64) -> bool {
    wanted == "?" || wanted.as_u64().unwrap_or(0) == read
}

/// The first digits of a digest.
fn is_digest(wanted: Option<&str>, body: Option<&Body>) -> bool {
    let Some(wanted) = wanted else { return true };
    let digits = wanted.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    let bytes: Vec<_> = digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    body.and_then(|body| body.sha256).is_some_and(|digest| digest.starts_with(&bytes))
}

/// A text. How a decoder escapes bytes beyond ASCII is its own affair: of those only the beginning counts.
fn is_text(wanted: Option<&str>, read: &[u8]) -> bool {
    let Some(wanted) = wanted else { return false };
    let read = String::from_utf8_lossy(read);
    match (plain(wanted), plain(&read)) {
        _ if wanted == "?" => true,
        (None, None) => start(wanted) == start(&read),
        (Some(wanted), Some(read)) => wanted == read,
        _ => true,
    }
}

/// A text without anything that might be escaped.
fn plain(text: &str) -> Option<&str> {
    let escaped = text.contains("\\x") || text.chars().any(|c| !(' '..='~').contains(&c));
    (!escaped).then_some(text)
}

fn start(text: &str) -> String {
    text.chars().filter(|c| (' '..='~').contains(c) && *c != '\\').take(3).collect()
}
