//! What is changed in a captured head before it leaves: the Host, and what the user or Envoy's manners
//! ask for besides. Whatever no edit names goes out byte for byte.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Range;

use bytes::Bytes;

use super::credentials::{self, Credentials};
use crate::http::RequestHead;
use crate::route::host::effective_host;
use crate::route::{Decision, Field, FieldEdits, HostEdit, Replaced, RequestEdits, Target};

/// The edits of a head that the user asks for. They come after those of the rules, and where they name a
/// field, before what the shadow itself changes.
#[derive(Clone, Debug, Default)]
pub struct HeadEdits {
    /// What becomes of the Host.
    pub host: HostEdit,
    /// Adds what Envoy adds to a shadow: `x-envoy-internal: true`, and the client's address at the end
    /// of `x-forwarded-for`, after a comma without a space, as Envoy writes it; the path and the
    /// authority before a rewrite, and the rule's timeout, where there are any.
    pub as_envoy: bool,
    /// What becomes of other fields.
    pub fields: FieldEdits,
    /// What becomes of credentials that no edit names.
    pub credentials: Credentials,
    /// It is the request itself that leaves and not a copy: Envoy adds to a copy alone that it is internal,
    /// and from whom it was forwarded.
    pub is_original: bool,
}

/// What the rules change in one request.
#[derive(Clone, Copy, Debug)]
pub struct RuleEdits<'d> {
    edits: &'d RequestEdits,
    target: Option<&'d Bytes>,
}

impl<'d> RuleEdits<'d> {
    /// These edits, with the target as captured.
    #[must_use]
    pub const fn new(edits: &'d RequestEdits) -> Self {
        Self { edits, target: None }
    }

    /// The edits of a decision.
    #[must_use]
    pub fn of(decision: &'d Decision) -> Self {
        Self { edits: &decision.edits, target: decision.target.as_ref() }
    }

    /// The target as it leaves, where it is another than the captured one: with its path rewritten, and in
    /// absolute form also with the new authority, which a server would read first (RFC 9112, section 3.2.2).
    fn target(&self, head: &RequestHead) -> Option<Bytes> {
        let Some(authority) = &self.edits.authority else { return self.target.cloned() };
        let target = self.target.map_or(head.target(), |target| &target[..]);
        let parts = Target::new(target);
        match memchr::memmem::find(parts.origin, b"://") {
            Some(at) => {
                let scheme = parts.origin.get(..at + 3).unwrap_or_default();
                Some([scheme, authority.as_bytes(), parts.path, parts.rest].concat().into())
            }
            None => self.target.cloned(),
        }
    }
}

const FORWARDED_FOR: &str = "x-forwarded-for";
const ENVOY_INTERNAL: &str = "x-envoy-internal";
const ORIGINAL_HOST: &str = "x-envoy-original-host";
const ORIGINAL_PATH: &str = "x-envoy-original-path";
const EXPECTED_TIMEOUT: &str = "x-envoy-expected-rq-timeout-ms";

/// What becomes of one field.
enum Fate {
    Keep,
    Value(Bytes),
    Drop,
}

impl HeadEdits {
    /// The same edits as a canary gets them: it is the request itself, and its Host is unchanged.
    #[must_use]
    pub fn for_canary(&self) -> Self {
        Self { host: HostEdit::None, is_original: true, ..self.clone() }
    }

    /// Whether, with these edits of fields, no other field than the Host may change: then nobody has to look at the
    /// others.
    fn is_about_host_alone(&self, fields: &FieldEdits) -> bool {
        fields.is_empty() && !self.marks_copy() && matches!(self.credentials, Credentials::Pass)
    }

    /// Whether what leaves is marked as Envoy marks its copies.
    const fn marks_copy(&self) -> bool {
        self.as_envoy && !self.is_original
    }

    /// The head as it leaves, for a request that came from `client`.
    ///
    /// Each Host field that the head has is edited, since a server may read any of them; none is added
    /// where there is none. The target stays as captured, also in absolute form, whose authority then
    /// gives the value of the Host field (without one, nothing carries the shadow's name), unless a rule
    /// rewrites it.
    #[must_use]
    pub fn apply(&self, head: &RequestHead, client: IpAddr, rule: RuleEdits<'_>) -> Bytes {
        let target = rule.target(head);
        let fields = self.fields_after(rule, head);
        let mut editor = Editor::new(self, rule.edits, &fields, head, client);
        if target.is_none()
            && self.is_about_host_alone(&fields)
            && let Some(host) = head.headers.plain_host()
        {
            return editor.replace_host(host);
        }
        editor.out.reserve(head.raw().len() + 64);
        if let Some(target) = &target {
            editor.copy_to(head.target_range());
            editor.out.extend_from_slice(target);
        }
        for (index, (name, value)) in head.headers.iter().enumerate() {
            match editor.fate(index, name, value) {
                Fate::Keep => {}
                Fate::Value(value) => editor.replace(index, &value),
                Fate::Drop => editor.drop_field(index),
            }
        }
        editor.finish()
    }

    /// The value of the first field of that name in the head as it leaves.
    #[must_use]
    pub fn value_after<'a>(
        &'a self,
        head: &'a RequestHead,
        name: &'a str,
        rule: RuleEdits<'_>,
    ) -> Option<Bytes> {
        let captured = || head.headers.get(name).map(Bytes::copy_from_slice);
        let fields = self.fields_after(rule, head);
        match fields.position(name.as_bytes()).and_then(|at| fields.get(at)) {
            Some(edit) => captured().filter(|_| edit.keep).or_else(|| edit.values.first().cloned()),
            None => captured(),
        }
    }

    /// What becomes of fields by all who say something about them: Envoy's manners, the rule, the user.
    fn fields_after(&self, rule: RuleEdits<'_>, head: &RequestHead) -> Cow<'_, FieldEdits> {
        let envoys = if self.as_envoy { envoys_own(rule, head) } else { FieldEdits::default() };
        if rule.edits.fields.is_empty() && envoys.is_empty() {
            return Cow::Borrowed(&self.fields);
        }
        Cow::Owned(envoys.then(&rule.edits.fields).then(&self.fields))
    }
}

/// What Envoy tells a destination about the rule.
fn envoys_own(rule: RuleEdits<'_>, head: &RequestHead) -> FieldEdits {
    let mut fields = FieldEdits::default();
    let mut set = |name: &str, value: Vec<u8>| {
        let field = name.parse().ok().and_then(|name| Field::new(name, value).ok());
        if let Some(field) = field {
            fields.set(field);
        }
    };
    if rule.target.is_some() {
        let captured = Target::new(head.target());
        set(ORIGINAL_PATH, [&captured.matched_path(), captured.rest].concat());
    }
    match &rule.edits.replaced {
        Replaced::Untold => {}
        Replaced::Captured => {
            let field = head.headers.get("host").unwrap_or_default();
            set(ORIGINAL_HOST, effective_host(head.target(), field).to_vec());
        }
        Replaced::Other(authority) => set(ORIGINAL_HOST, authority.as_bytes().to_vec()),
    }
    if let Some(timeout) = rule.edits.timeout.filter(|timeout| !timeout.is_zero()) {
        set(EXPECTED_TIMEOUT, timeout.as_millis().to_string().into_bytes());
    }
    fields
}

/// One head on its way out: walks over the fields once, in order.
struct Editor<'a> {
    edits: &'a HeadEdits,
    rule: &'a RequestEdits,
    fields: &'a FieldEdits,
    head: &'a RequestHead,
    client: IpAddr,
    /// Which of `fields` have found the place of their first value.
    placed: Vec<bool>,
    /// The last `x-forwarded-for`, where Envoy's manners are asked for.
    forwarded_for: Option<usize>,
    has_envoy_internal: bool,
    out: Vec<u8>,
    /// How much of the raw head has been dealt with.
    copied: usize,
}

impl<'a> Editor<'a> {
    fn new(
        edits: &'a HeadEdits,
        rule: &'a RequestEdits,
        fields: &'a FieldEdits,
        head: &'a RequestHead,
        client: IpAddr,
    ) -> Self {
        let mut names = head.headers.iter().map(|(name, _)| name);
        let is = |wanted: &'static str| move |name: &[u8]| name.eq_ignore_ascii_case(wanted.as_bytes());
        let (forwarded_for, has_envoy_internal) = if edits.marks_copy() {
            let forwarded_for = names.clone().enumerate().filter(|(_, name)| is(FORWARDED_FOR)(name));
            (forwarded_for.map(|(index, _)| index).last(), names.any(is(ENVOY_INTERNAL)))
        } else {
            (None, false)
        };
        Self {
            edits,
            rule,
            fields,
            head,
            client,
            placed: vec![false; fields.iter().count()],
            forwarded_for,
            has_envoy_internal,
            out: Vec::new(),
            copied: 0,
        }
    }

    fn fate(&mut self, index: usize, name: &[u8], value: &[u8]) -> Fate {
        if let Some(place) = self.fields.position(name) {
            return self.edited(place);
        }
        match self.edits.credentials.fate(name) {
            Some(credentials::Fate::LeftOut) => return Fate::Drop,
            Some(credentials::Fate::Replaced(field)) => return Fate::Value(field.value().clone()),
            None => {}
        }
        if name.eq_ignore_ascii_case(b"host") {
            return self.host(value).map_or(Fate::Keep, |pieces| Fate::Value(pieces.concat().into()));
        }
        if self.forwarded_for == Some(index) {
            let separator: &[u8] = if value.is_empty() { b"" } else { b"," };
            return Fate::Value([value, separator, self.client.to_string().as_bytes()].concat().into());
        }
        if self.edits.marks_copy() && name.eq_ignore_ascii_case(ENVOY_INTERNAL.as_bytes()) {
            return Fate::Value(Bytes::from_static(b"true"));
        }
        Fate::Keep
    }

    /// The first field of a name gets the first new value, and the others go.
    fn edited(&mut self, place: usize) -> Fate {
        let (Some(edit), Some(placed)) = (self.fields.get(place), self.placed.get_mut(place)) else {
            return Fate::Keep;
        };
        match edit.values.first() {
            _ if edit.keep => Fate::Keep,
            Some(value) if !std::mem::replace(placed, true) => Fate::Value(value.clone()),
            _ => Fate::Drop,
        }
    }

    /// What a Host field of this value gets in its place, in pieces, if anything.
    fn host<'v>(&self, value: &'v [u8]) -> Option<[&'v [u8]; 3]>
    where
        'a: 'v,
    {
        let rewritten = self.rule.authority.as_ref().map(|authority| authority.as_bytes());
        let host = rewritten.unwrap_or_else(|| effective_host(self.head.target(), value));
        self.edits.host.pieces(host).or_else(|| rewritten.map(|host| [host, b"", b""]))
    }

    /// The head, of which nothing changes but the only Host field, whose value lies there.
    fn replace_host(mut self, at: Range<usize>) -> Bytes {
        let raw = self.head.raw();
        let Some(pieces) = self.host(raw.get(at.clone()).unwrap_or_default()) else {
            return raw.clone();
        };
        // Not a byte more, so that what comes of it needs no other memory.
        self.out.reserve_exact(raw.len() - at.len() + pieces.iter().map(|piece| piece.len()).sum::<usize>());
        self.copy_to(at);
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self.finish()
    }

    fn replace(&mut self, index: usize, value: &[u8]) {
        if let Some(lines) = Lines::of_field(self.head, index) {
            self.copy_to(lines.value);
            self.out.extend_from_slice(value);
        }
    }

    fn drop_field(&mut self, index: usize) {
        if let Some(lines) = Lines::of_field(self.head, index) {
            self.copy_to(lines.all);
        }
    }

    /// Copies what lies ahead of `replaced` and passes over it.
    fn copy_to(&mut self, replaced: Range<usize>) {
        self.out.extend_from_slice(self.head.raw().get(self.copied..replaced.start).unwrap_or_default());
        self.copied = replaced.end;
    }

    /// The rest of the head, with the fields that it does not have yet ahead of its empty line.
    fn finish(mut self) -> Bytes {
        let fields = self.fields;
        let raw = &self.head.raw()[..];
        let end = empty_line(raw);
        self.copy_to(raw.len() - end.len()..raw.len());
        let free = |name: &str| self.edits.marks_copy() && fields.position(name.as_bytes()).is_none();
        let (forwarded_for, internal) = (free(FORWARDED_FOR), free(ENVOY_INTERNAL));
        if self.forwarded_for.is_none() && forwarded_for {
            let client = self.client.to_string();
            self.add(FORWARDED_FOR, client.as_bytes(), end);
        }
        if !self.has_envoy_internal && internal {
            self.add(ENVOY_INTERNAL, b"true", end);
        }
        for (place, edit) in fields.iter().enumerate() {
            let placed = usize::from(self.placed.get(place) == Some(&true));
            for value in edit.values.iter().skip(placed) {
                self.add(edit.name.as_str(), value, end);
            }
        }
        self.out.extend_from_slice(end);
        self.out.into()
    }

    fn add(&mut self, name: &str, value: &[u8], line_end: &[u8]) {
        for part in [name.as_bytes(), b": ", value, line_end] {
            self.out.extend_from_slice(part);
        }
    }
}

/// Where in the raw head one field lies.
struct Lines {
    /// From its name to the end of its last line.
    all: Range<usize>,
    /// Its value; where that is empty, the place after the colon and the white space that follows it.
    value: Range<usize>,
}

impl Lines {
    fn of_field(head: &RequestHead, index: usize) -> Option<Self> {
        let raw = &head.raw()[..];
        let name = head.headers.name_range(index)?;
        let mut value = head.headers.value_range(index)?;
        if value.is_empty() {
            let colon = name.end + memchr::memchr(b':', raw.get(name.end..)?)?;
            let blank = raw.get(colon + 1..)?.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            value = colon + 1 + blank..colon + 1 + blank;
        }
        let mut end = value.end;
        // A folded field goes on while the next line begins with white space (RFC 9112, section 5.2).
        loop {
            end += memchr::memchr(b'\n', raw.get(end..)?)? + 1;
            if !matches!(raw.get(end), Some(b' ' | b'\t')) {
                return Some(Self { all: name.start..end, value });
            }
        }
    }
}

/// The empty line at the end of a head.
fn empty_line(head: &[u8]) -> &[u8] {
    [b"\r\n".as_slice(), b"\n"].into_iter().find(|end| head.ends_with(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{BodyKeep, Options, Parser, Request, Sink};
    use crate::time::Timestamp;

    struct Heads(Vec<RequestHead>);

    impl Sink<RequestHead> for Heads {
        fn message(&mut self, request: Request) {
            self.0.push(request.head);
        }
    }

    fn head(raw: &[u8]) -> RequestHead {
        let mut heads = Heads(Vec::new());
        Parser::new(Options { keep: BodyKeep::Nothing, hash: false }).push(
            Timestamp::default(),
            raw,
            &mut heads,
        );
        heads.0.remove(0)
    }

    fn edited(edits: &HeadEdits, raw: &str) -> String {
        let client = IpAddr::from([192, 0, 2, 7]);
        let rule = RuleEdits { edits: &RequestEdits::default(), target: None };
        String::from_utf8(edits.apply(&head(raw.as_bytes()), client, rule).to_vec()).unwrap()
    }

    fn edits(set: &[&str], remove: &[&str], as_envoy: bool) -> HeadEdits {
        let mut fields = FieldEdits::default();
        for name in remove {
            fields.remove(name.parse().unwrap());
        }
        for field in set {
            fields.set(field.parse().unwrap());
        }
        HeadEdits { host: HostEdit::None, as_envoy, fields, ..HeadEdits::default() }
    }

    #[test]
    fn a_head_of_which_only_the_host_changes_is_edited_as_any_other() {
        let heads = [
            "GET / HTTP/1.1\r\nHost: a.example:8080\r\nX: host\r\n\r\n",
            "GET / HTTP/1.1\r\nX: 1\r\nhOST:a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:   a  \r\n\r\n",
            "GET / HTTP/1.1\r\nHost:\r\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost:  \r\nX: 1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: 1\r\n\r\n",
            "GET http://u@b.example/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
        ];
        let hosts = [HostEdit::default(), HostEdit::None, HostEdit::Literal("v2".to_owned())];
        for (raw, host) in heads.iter().flat_map(|raw| hosts.iter().map(move |host| (raw, host))) {
            // What no head has keeps each field from being passed over.
            let [alone, among] = [&[][..], &["X-Absent"]]
                .map(|remove| edited(&HeadEdits { host: host.clone(), ..edits(&[], remove, false) }, raw));
            assert_eq!(alone, among, "{host:?}");
        }
    }

    #[test]
    fn credentials_leave_or_change_and_an_edit_of_the_same_name_wins() {
        let raw = "GET / HTTP/1.1\r\nCookie: a=1\r\nHost: a\r\nauthorization: Bearer v1\r\nX: 1\r\n\r\n";
        let with =
            |credentials, set: &[&str]| edited(&HeadEdits { credentials, ..edits(set, &[], false) }, raw);
        let replace = || Credentials::replacing("Authorization: Bearer v2").unwrap();
        for (credentials, set, sent) in [
            (Credentials::Pass, &[][..], raw),
            (Credentials::Strip, &[], "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"),
            (replace(), &[], "GET / HTTP/1.1\r\nHost: a\r\nauthorization: Bearer v2\r\nX: 1\r\n\r\n"),
            (
                Credentials::Strip,
                &["Cookie: b=2"],
                "GET / HTTP/1.1\r\nCookie: b=2\r\nHost: a\r\nX: 1\r\n\r\n",
            ),
        ] {
            assert_eq!(with(credentials, set), sent);
        }
        let anonymous = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let edits = HeadEdits { credentials: replace(), ..edits(&[], &[], false) };
        assert_eq!(edited(&edits, anonymous), anonymous, "who had no credentials gets none");
    }

    #[test]
    fn a_field_that_is_set_takes_the_place_of_all_of_its_name() {
        let raw = "GET / HTTP/1.1\r\nHost: a\r\nx-a:  1 \r\nB: 2\r\nX-A: 3\r\n\r\n";
        assert_eq!(
            edited(&edits(&["X-a: new", "C:3"], &[], false), raw),
            "GET / HTTP/1.1\r\nHost: a\r\nx-a:  new \r\nB: 2\r\nC: 3\r\n\r\n"
        );
        let twice = edits(&["C: 1", "c: 2"], &[], false);
        assert_eq!(edited(&twice, "GET / HTTP/1.1\r\n\r\n"), "GET / HTTP/1.1\r\nc: 2\r\n\r\n");
        let bare = edited(&edits(&["C: 3"], &[], false), "GET / HTTP/1.1\nHost: a\n\n");
        assert_eq!(bare, "GET / HTTP/1.1\nHost: a\nC: 3\n\n", "line ends are those of the head");
    }

    #[test]
    fn a_field_that_is_removed_goes_with_its_folded_lines_and_duplicates() {
        let raw =
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n more\r\nB: 2\r\nx:\r\nno field\r\nC: 3\r\nX: 9\r\n\r\n";
        assert_eq!(
            edited(&edits(&[], &["X", "Host"], false), raw),
            "GET / HTTP/1.1\r\nB: 2\r\nno field\r\nC: 3\r\n\r\n"
        );
        assert_eq!(
            edited(&edits(&["X: 5"], &["X"], false), "GET / HTTP/1.1\r\nX: 1\r\n\r\n"),
            "GET / HTTP/1.1\r\nX: 5\r\n\r\n"
        );
    }

    #[test]
    fn as_envoy_names_the_client_and_marks_the_request_as_internal() {
        let envoy = edits(&[], &[], true);
        assert_eq!(
            edited(&envoy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: 192.0.2.7\r\nx-envoy-internal: true\r\n\r\n"
        );
        assert_eq!(
            edited(
                &envoy,
                "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nx-envoy-internal: no\r\n\r\n"
            ),
            "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2,192.0.2.7\r\nx-envoy-internal: true\r\n\r\n"
        );
        assert_eq!(
            edited(
                &envoy,
                "GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b\r\nX-Envoy-Internal: true\r\n\r\n"
            ),
            "GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nX-Forwarded-For: b,192.0.2.7\r\nX-Envoy-Internal: true\r\n\r\n"
        );
        let less = edits(&["x-forwarded-for: me"], &["x-envoy-internal"], true);
        assert_eq!(
            edited(&less, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET / HTTP/1.1\r\nHost: a\r\nx-forwarded-for: me\r\n\r\n"
        );
    }

    #[test]
    fn a_literal_host_replaces_the_value_and_none_leaves_it() {
        let raw = "GET / HTTP/1.1\r\nHost:  a.example:80 \r\n\r\n";
        let literal = HeadEdits { host: HostEdit::Literal("v2.test:1".into()), ..HeadEdits::default() };
        assert_eq!(edited(&literal, raw), "GET / HTTP/1.1\r\nHost:  v2.test:1 \r\n\r\n");
        assert_eq!(edited(&literal.for_canary(), raw), raw);
        assert_eq!(edited(&literal, "GET / HTTP/1.0\r\n\r\n"), "GET / HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn a_head_of_many_fields_is_edited_in_linear_time() {
        let raw = format!("GET / HTTP/1.1\r\n{}Host: a\r\n\r\n", "x:\n".repeat(80_000));
        let began = std::time::Instant::now();
        let out = edited(&edits(&["x: 1"], &["y"], true), &raw);
        assert!(out.starts_with("GET / HTTP/1.1\r\nx:1\nHost: a\r\n"));
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }
}
