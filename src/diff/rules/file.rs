//! Rules as a file has them: TOML, a `[[rule]]` for each.

use std::ops::Range;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use super::effect::{Effect, Form};
use super::field::Field;
use super::pattern::Pattern;
use super::selector::{Glob, Selector, StatusRange};
use super::{Place, Rule, RulesError};
use crate::diff::Kind;
use crate::diff::routes::{RouteTemplate, RouteTemplates};

/// More rules than anybody keeps in order.
const MAX_RULES: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
    #[serde(default)]
    route: Vec<Spanned<RouteTemplate>>,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    route: Option<String>,
    method: Option<String>,
    host: Option<String>,
    status: Option<Status>,
    content_type: Option<String>,
    path: Option<String>,
    header: Option<String>,
    v2_status: Option<Status>,
    kind: Option<Kind>,
    reason: Option<String>,
    expires: Option<toml::value::Datetime>,
    ignore: Option<Ignore>,
    shape: Option<String>,
    tolerance: Option<f64>,
    relative_tolerance: Option<f64>,
    time_tolerance: Option<String>,
    array: Option<Array>,
    array_key: Option<String>,
    case: Option<Case>,
    equal: Option<Vec<[String; 2]>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    Code(u16),
    Class(String),
}

impl Status {
    fn range(&self) -> Result<StatusRange, String> {
        match self {
            Self::Code(code) => StatusRange::parse(&code.to_string()),
            Self::Class(class) => StatusRange::parse(class),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ignore {
    Yes(bool),
    Because(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Array {
    Set,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    Ignore,
}

/// Reads the rules of a file; `today` tells which have expired.
pub(super) fn parse(text: &str, today: Date) -> Result<(Vec<Rule>, RouteTemplates), RulesError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = line_of(text, error.span().unwrap_or_default());
        RulesError { line, message: error.message().trim().to_owned() }
    })?;
    if file.rule.len().max(file.route.len()) > MAX_RULES {
        return Err(RulesError { line: 1, message: format!("more than {MAX_RULES} rules or routes") });
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(file.rule.len());
    for written in file.rule {
        let line = line_of(text, written.span());
        let rule =
            rule(&written.into_inner(), line, today).map_err(|message| RulesError { line, message })?;
        if let Some(other) = rules.iter().find(|other| other.name == rule.name) {
            let message = format!("the rule at line {} is named `{}` as well", other.line, rule.name);
            return Err(RulesError { line, message });
        }
        rules.push(rule);
    }
    let line = file.route.first().map_or(1, |route| line_of(text, route.span()));
    let templates = RouteTemplates::new(file.route.into_iter().map(Spanned::into_inner).collect());
    Ok((rules, templates.map_err(|message| RulesError { line, message })?))
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count() + 1
}

fn rule(written: &Written, line: usize, today: Date) -> Result<Rule, String> {
    let reason = match &written.ignore {
        Some(Ignore::Because(reason)) => Some(reason.clone()),
        _ => written.reason.clone(),
    };
    let expires = written.expires.as_ref().map(expiry).transpose()?;
    let (place, effect) = (place(written)?, effect(written)?);
    if matches!((&place, &effect), (Place::Status(_), effect) if !matches!(effect, Effect::Ignore)) {
        return Err("of another status a rule can say `ignore` and nothing else".to_owned());
    }
    Ok(Rule {
        name: written.name.clone().unwrap_or_else(|| format!("line {line}")),
        line,
        selector: selector(written)?,
        place,
        kind: written.kind,
        effect,
        reason,
        expired: expires.filter(|expires| *expires < today),
    })
}

/// The last day on which a rule holds.
fn expiry(written: &toml::value::Datetime) -> Result<Date, String> {
    let wrong = || format!("expires = {written}: a date is expected, as 2027-01-31");
    let date = written.date.ok_or_else(wrong)?;
    let (year, month, day) = (i16::try_from(date.year), i8::try_from(date.month), i8::try_from(date.day));
    match (year, month, day) {
        (Ok(year), Ok(month), Ok(day)) => Date::new(year, month, day).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn place(written: &Written) -> Result<Place, String> {
    match (&written.path, &written.header, &written.v2_status) {
        (Some(path), None, None) => Ok(Place::Body(Pattern::parse(path)?)),
        (None, Some(header), None) => Ok(Place::Header(Field::parse(header)?)),
        (None, None, Some(status)) => Ok(Place::Status(status.range()?)),
        (None, None, None) => {
            Err("a rule needs a place: `path` in the body, `header`, or `v2_status`".to_owned())
        }
        _ => Err("a rule has one place: `path`, `header` or `v2_status`".to_owned()),
    }
}

fn selector(written: &Written) -> Result<Selector, String> {
    let glob = |text: &Option<String>| text.as_deref().map(Glob::parse).transpose();
    let status = written.status.as_ref().map(Status::range).transpose()?;
    Ok(Selector {
        route: glob(&written.route)?,
        method: written.method.clone(),
        host: glob(&written.host.as_ref().map(|host| host.to_ascii_lowercase()))?,
        status,
        content_type: glob(&written.content_type.as_ref().map(|kind| kind.to_ascii_lowercase()))?,
    })
}

/// The one effect that is written.
fn effect(written: &Written) -> Result<Effect, String> {
    let near = written.tolerance.is_some() || written.relative_tolerance.is_some();
    let given = [
        written.ignore.is_some(),
        written.shape.is_some(),
        near,
        written.time_tolerance.is_some(),
        written.array.is_some(),
        written.array_key.is_some(),
        written.case.is_some(),
        written.equal.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => return Err("a rule needs an effect: ignore, shape, tolerance, relative_tolerance, time_tolerance, array, array_key, case or equal".to_owned()),
        1 => {}
        _ => return Err("a rule has one effect; write a rule for each".to_owned()),
    }
    if let Some(form) = &written.shape {
        return Form::parse(form).map(Effect::Shape);
    }
    if near {
        return tolerance(written.tolerance, written.relative_tolerance);
    }
    if let Some(text) = &written.time_tolerance {
        return duration(text).map(Effect::Time);
    }
    Ok(match (&written.ignore, &written.array_key, &written.equal) {
        (Some(Ignore::Yes(false)), ..) => {
            return Err("ignore = false does nothing; take the rule out".to_owned());
        }
        (Some(_), ..) => Effect::Ignore,
        (_, Some(key), _) => Effect::ByKey(key.clone()),
        (_, _, Some(pairs)) => Effect::Equal(pairs.iter().cloned().map(|[a, b]| (a, b)).collect()),
        _ if written.array.is_some() => Effect::AnyOrder,
        _ => Effect::AnyCase,
    })
}

fn tolerance(absolute: Option<f64>, relative: Option<f64>) -> Result<Effect, String> {
    let (absolute, relative) = (absolute.unwrap_or(0.0), relative.unwrap_or(0.0));
    if absolute.is_finite() && relative.is_finite() && absolute >= 0.0 && (0.0..=1.0).contains(&relative) {
        Ok(Effect::Near { absolute, relative })
    } else {
        Err("a tolerance is a distance, 0 or more; a relative one is a share of the value, 0 to 1".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration: 5s, 2m, 1h 30m");
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}
