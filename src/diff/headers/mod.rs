//! Header fields in four tiers: framing, volatile, build information, semantic.

mod fields;
mod lines;
mod tier;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::findings::Findings;
use super::{Class, Difference, Kind, Layer};
use crate::http::Headers;

pub(super) use fields::elements;
use fields::{canonical, cookie};
pub(super) use lines::{Head, Told};
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
    let (fields1, fields2) = (Fields::of(v1), Fields::of(v2));
    let [cookies1, cookies2] = [&fields1, &fields2].map(|fields| fields.get(SET_COOKIE).map(values));
    cookies(cookies1.unwrap_or_default(), cookies2.unwrap_or_default(), findings);
    let (mut others, mut added) = (fields2.groups().peekable(), Vec::new());
    for group in fields1.groups() {
        while let Some(other) = others.next_if(|other| order(&other[0], &group[0]).is_lt()) {
            added.push(other);
        }
        let other = others.next_if(|other| order(&other[0], &group[0]).is_eq());
        field(Some(group), other, scope, findings);
    }
    for group in added.into_iter().chain(others) {
        field(None, Some(group), scope, findings);
    }
}

/// Finds the difference that [`compare`] finds of the fields of one name, which are no cookies.
pub(super) fn compare_named(name: &str, v1: &Headers, v2: &Headers, findings: &mut Findings<'_>) {
    let [ours, theirs] = [v1, v2].map(|headers| {
        headers.all(name).map(|value| Field { name: name.as_bytes().into(), value }).collect::<Vec<_>>()
    });
    let [ours, theirs] =
        [&ours, &theirs].map(|fields| Some(fields.as_slice()).filter(|fields| !fields.is_empty()));
    field(ours, theirs, Scope::All, findings);
}

/// The order in which [`compare`] finds differences of names in ASCII: cookies in their own, then what v1 has, then what v2
/// has alone.
pub(super) fn in_order(a: &Difference, b: &Difference) -> Ordering {
    let order = |d: &Difference| (!is_cookie(&d.path), d.kind == Kind::Added);
    match (is_cookie(&a.path), is_cookie(&b.path)) {
        (true, true) => Ordering::Equal,
        _ => order(a).cmp(&order(b)).then_with(|| a.path.cmp(&b.path)),
    }
}

/// Whether a name is that of cookies, or a place that of one of them.
pub(super) fn is_cookie(name: &str) -> bool {
    let start = name.as_bytes().get(..SET_COOKIE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SET_COOKIE))
        && matches!(name.as_bytes().get(SET_COOKIE.len()), None | Some(b'['))
}

/// Whether all that is compared of two sections is the same without having to be looked for: they have the same names in one
/// order, and differ at most where nothing is compared but that a field is there. Most answers of one service do, in their Date.
pub(super) fn are_alike(v1: &Headers, v2: &Headers) -> bool {
    if let (Some(ours), Some(theirs)) = (v1.plain_lines(), v2.plain_lines()) {
        return lines::have_one_order(ours, theirs, is_never_told);
    }
    let mut both = v1.iter().zip(v2.iter());
    v1.len() == v2.len() && both.all(|((a, x), (b, y))| a == b && (x == y || is_never_told(a)))
}

/// Whether no value of a field is ever told, whatever it is in the other answer.
pub(super) fn is_never_told(name: &[u8]) -> bool {
    let mut lower = [0; LONGEST_KNOWN];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).is_ok_and(|name| {
        let tier = tier(name);
        tier == Tier::Framing || is_presence_alone(name, tier)
    })
}

/// No field of a known name, that is not compared as any other, has a longer one.
const LONGEST_KNOWN: usize = 32;

const SET_COOKIE: &[u8] = b"set-cookie";

/// Fields in the order of their names without regard to case, so that the same input gives the same report; those of one
/// name in their own.
struct Fields<'h>(Vec<Field<'h>>);

struct Field<'h> {
    /// As sent, with what is not UTF-8 replaced.
    name: Cow<'h, [u8]>,
    value: &'h [u8],
}

impl<'h> Fields<'h> {
    fn of(headers: &'h Headers) -> Self {
        let field = |(name, value): (&'h [u8], &'h [u8])| {
            let name = if name.is_ascii() { name.into() } else { lossy(name).into_bytes().into() };
            Field { name, value }
        };
        let mut fields: Vec<_> = headers.iter().map(field).collect();
        fields.sort_by(order);
        Self(fields)
    }

    /// The fields of each name.
    fn groups(&self) -> impl Iterator<Item = &[Field<'h>]> {
        self.0.chunk_by(|a, b| a.name.eq_ignore_ascii_case(&b.name))
    }

    /// The fields of a name.
    fn get(&self, name: &[u8]) -> Option<&[Field<'h>]> {
        let start = self.0.partition_point(|field| without_case(&field.name).lt(without_case(name)));
        let rest = self.0.get(start..)?;
        let len = rest.iter().take_while(|field| field.name.eq_ignore_ascii_case(name)).count();
        rest.get(..len).filter(|group| !group.is_empty())
    }
}

/// That of their names.
fn order(a: &Field<'_>, b: &Field<'_>) -> Ordering {
    without_case(&a.name).cmp(without_case(&b.name))
}

fn without_case(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn values<'h>(fields: &[Field<'h>]) -> Vec<&'h [u8]> {
    fields.iter().map(|field| field.value).collect()
}

/// Compares the fields of one name, which one side has at least.
fn field(v1: Option<&[Field<'_>]>, v2: Option<&[Field<'_>]>, scope: Scope, findings: &mut Findings<'_>) {
    // Most are the same: nothing has to be made of them.
    let name = match (v1, v2) {
        (Some(a), Some(b)) if a.iter().map(|f| f.value).eq(b.iter().map(|f| f.value)) => return,
        (Some([first, ..]), _) | (_, Some([first, ..])) => {
            String::from_utf8_lossy(&first.name).to_ascii_lowercase()
        }
        _ => return,
    };
    let tier = tier(&name);
    let is_told_apart = name.as_bytes() == SET_COOKIE;
    if is_told_apart || tier == Tier::Framing || (scope == Scope::NotContent && describes_content(&name)) {
        return;
    }
    if v1.is_some() && v2.is_some() && is_presence_alone(&name, tier) {
        return;
    }
    let (v1, v2) = (v1.map(joined), v2.map(joined));
    let kind = match (&v1, &v2) {
        (Some(a), Some(b)) if a == b || canonical(&name, a) == canonical(&name, b) => return,
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
    findings.push((Layer::Header, kind, class), || name, (v1.as_deref(), v2.as_deref()));
}

/// The values of one name as one.
fn joined<'h>(fields: &[Field<'h>]) -> Cow<'h, [u8]> {
    match fields {
        [field] => field.value.into(),
        fields => values(fields).join(&b", "[..]).into(),
    }
}

/// Whether nothing is compared but that a field is there. Of some volatile values a part has a meaning of its own.
fn is_presence_alone(name: &str, tier: Tier) -> bool {
    tier == Tier::Volatile && !matches!(name, "etag" | "expires")
}

/// Cookies, each by its name; where one is set several times, the last counts (RFC 6265, section 5.3).
fn cookies(v1: Vec<&[u8]>, v2: Vec<&[u8]>, findings: &mut Findings<'_>) {
    if v1 == v2 {
        return;
    }
    let by_name = |values: Vec<&[u8]>| -> BTreeMap<_, _> { values.into_iter().map(cookie).collect() };
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
