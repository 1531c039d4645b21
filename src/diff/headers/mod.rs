//! Header fields in four tiers: framing, volatile, build information, semantic.

mod fields;
mod tier;

use std::collections::BTreeMap;

use super::findings::Findings;
use super::{Class, Kind, Layer};
use crate::http::Headers;

pub(super) use fields::elements;
use fields::{canonical, cookie};
use tier::{Tier, describes_content, tier};

/// Which fields are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of them.
    All,
    /// Those that do not describe the content, which is another one.
    NotContent,
}

/// Finds the differences of two header sections. Fields of one name are one value, in their order
/// (RFC 9110, section 5.3); the order of names does not count.
pub(super) fn compare(v1: &Headers, v2: &Headers, scope: Scope, findings: &mut Findings<'_>) {
    let (mut fields1, mut fields2) = (by_name(v1), by_name(v2));
    cookies(fields1.remove("set-cookie"), fields2.remove("set-cookie"), findings);
    for (name, value1) in &fields1 {
        field(name, Some(value1), fields2.get(name), scope, findings);
    }
    for (name, value2) in fields2.iter().filter(|(name, _)| !fields1.contains_key(*name)) {
        field(name, None, Some(value2), scope, findings);
    }
}

type Values<'h> = Vec<&'h [u8]>;

/// The values of each name, in lower case; sorted, so that the same input gives the same report.
fn by_name(headers: &Headers) -> BTreeMap<String, Values<'_>> {
    let mut fields = BTreeMap::new();
    for (name, value) in headers.iter() {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        fields.entry(name).or_insert_with(Vec::new).push(value);
    }
    fields
}

fn field(
    name: &str,
    v1: Option<&Values<'_>>,
    v2: Option<&Values<'_>>,
    scope: Scope,
    findings: &mut Findings<'_>,
) {
    let tier = tier(name);
    if tier == Tier::Framing || (scope == Scope::NotContent && describes_content(name)) {
        return;
    }
    // Most are the same: nothing has to be made of them.
    if v1.is_some() && v1 == v2 {
        return;
    }
    let joined = |values: Option<&Values<'_>>| values.map(|values| values.join(&b", "[..]));
    let (v1, v2) = (joined(v1), joined(v2));
    let kind = match (&v1, &v2) {
        (Some(a), Some(b)) if a == b || same(name, tier, a, b) => return,
        (Some(_), Some(_)) => Kind::ValueChanged,
        (_, None) => Kind::Missing,
        (None, _) => Kind::Added,
    };
    let echo = matches!((&v1, &v2), (Some(a), Some(b)) if findings.echo.explains(a, b));
    let class = match tier {
        _ if echo => Class::Shadow,
        Tier::Build => Class::Volatile,
        _ => Class::Unverified,
    };
    findings.push((Layer::Header, kind, class), || name.to_owned(), (v1.as_deref(), v2.as_deref()));
}

fn same(name: &str, tier: Tier, v1: &[u8], v2: &[u8]) -> bool {
    // Of these volatile values a part has a meaning of its own.
    let partly = matches!(name, "etag" | "expires");
    (tier == Tier::Volatile && !partly) || canonical(name, v1) == canonical(name, v2)
}

/// Cookies, each by its name; where one is set several times, the last counts (RFC 6265, section 5.3).
fn cookies(v1: Option<Values<'_>>, v2: Option<Values<'_>>, findings: &mut Findings<'_>) {
    let by_name = |values: Option<Values<'_>>| -> BTreeMap<_, _> {
        values.unwrap_or_default().into_iter().map(cookie).collect()
    };
    let (v1, v2) = (by_name(v1), by_name(v2));
    for (name, a) in &v1 {
        match v2.get(name) {
            Some(b) if a == b => {}
            Some(b) => cookie_differs(name, Kind::ValueChanged, (Some(a), Some(b)), findings),
            None => cookie_differs(name, Kind::Missing, (Some(a), None), findings),
        }
    }
    for (name, b) in v2.iter().filter(|(name, _)| !v1.contains_key(*name)) {
        cookie_differs(name, Kind::Added, (None, Some(b)), findings);
    }
}

fn cookie_differs(
    name: &[u8],
    kind: Kind,
    (v1, v2): (Option<&Vec<u8>>, Option<&Vec<u8>>),
    findings: &mut Findings<'_>,
) {
    let echo = matches!((v1, v2), (Some(a), Some(b)) if findings.echo.explains(a, b));
    let class = if echo { Class::Shadow } else { Class::Unverified };
    let path = || format!("set-cookie[{}]", super::excerpt::excerpt(name));
    findings.push((Layer::Header, kind, class), path, (v1.map(Vec::as_slice), v2.map(Vec::as_slice)));
}
