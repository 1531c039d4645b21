//! What the rule of Diffy says: each request goes to v1 twice and to v2 once; a field is told where its share of
//! differences between v1 and v2 is further from that between v1 and v1 than two thresholds allow.
//!
//! Diffy compares fields by endpoint and path, as is done here, with an endpoint for each route. A body that is no JSON is
//! one field here, of which a fault can only be told where nothing else in it changes; Diffy takes HTML apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::faults::Fault;
use crate::service::{Answer, Answers};

/// Diffy's default thresholds, in per cent: how far the two numbers of differences have to be apart, as a share of their
/// sum, and as a share of all requests.
const RELATIVE: f64 = 20.0;
const ABSOLUTE: f64 = 0.03;

/// What became of each field: by route, layer and path.
pub(crate) struct Verdicts {
    told: BTreeSet<(String, String, String)>,
    fields: usize,
}

/// How often a field differed.
#[derive(Default)]
struct Field {
    raw: f64,
    noise: f64,
}

/// Judges by first answers of v1, second answers of v1, and answers of v2.
pub(crate) fn judge(v1: &Answers, again: &Answers, v2: &Answers) -> Verdicts {
    let mut fields: BTreeMap<(String, String, String), Field> = BTreeMap::new();
    let mut requests: BTreeMap<String, f64> = BTreeMap::new();
    for (target, candidates) in v2 {
        let route = target.rsplit_once('/').unwrap().0.to_owned() + "/";
        let (primaries, secondaries) =
            (&v1[target], again.get(target).map(Vec::as_slice).unwrap_or_default());
        for ((primary, secondary), candidate) in primaries.iter().zip(secondaries).zip(candidates) {
            *requests.entry(route.clone()).or_default() += 1.0;
            let (one, two, three) = (flat(primary), flat(secondary), flat(candidate));
            let places: BTreeSet<_> = one.keys().chain(two.keys()).chain(three.keys()).collect();
            for place in places {
                let field = fields.entry((route.clone(), place.0.clone(), place.1.clone())).or_default();
                field.raw += f64::from(one.get(place) != three.get(place));
                field.noise += f64::from(one.get(place) != two.get(place));
            }
        }
    }
    let is_told = |(route, _, _): &(String, String, String), field: &Field| {
        let apart = (field.raw - field.noise).abs();
        apart / (field.raw + field.noise) * 100.0 > RELATIVE && apart / requests[route] * 100.0 > ABSOLUTE
    };
    let told = fields.iter().filter(|(place, field)| is_told(place, field));
    Verdicts { told: told.map(|(place, _)| place.clone()).collect(), fields: fields.len() }
}

impl Verdicts {
    pub(crate) fn tells(&self, fault: &Fault) -> bool {
        self.told.iter().any(|place| concerns(place, fault))
    }

    /// How many fields are told that tell of none of these faults.
    pub(crate) fn beside(&self, faults: &[Fault]) -> usize {
        self.told.iter().filter(|place| !faults.iter().any(|fault| concerns(place, fault))).count()
    }

    pub(crate) fn fields(&self) -> usize {
        self.fields
    }
}

fn concerns((route, layer, path): &(String, String, String), fault: &Fault) -> bool {
    *route == format!("/r/{}/", fault.name) && layer == fault.place.0 && path.contains(fault.place.1)
}

/// An answer as fields: the status, each header field, and the body as JSON by path, or as a whole.
fn flat(answer: &Answer) -> BTreeMap<(String, String), String> {
    let mut fields = BTreeMap::from([(("status".to_owned(), String::new()), answer.status.to_string())]);
    for (name, value) in &answer.fields {
        fields.insert(("header".to_owned(), name.to_ascii_lowercase()), value.clone());
    }
    match serde_json::from_slice(&answer.body) {
        Ok(document) => flatten(&document, "$", &mut fields),
        Err(_) => {
            fields.insert(
                ("body".to_owned(), "line p li currency qty state".to_owned()),
                String::from_utf8_lossy(&answer.body).into_owned(),
            );
        }
    }
    fields
}

fn flatten(value: &Value, path: &str, fields: &mut BTreeMap<(String, String), String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| flatten(value, &format!("{path}.{name}"), fields));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, value)| flatten(value, &format!("{path}[{at}]"), fields));
        }
        leaf => {
            fields.insert(("body".to_owned(), path.to_owned()), leaf.to_string());
        }
    }
}
