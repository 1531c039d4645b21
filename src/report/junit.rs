//! `junit.xml`: a suite for each host, a case for each route, in the form that Jenkins, GitLab and GitHub's
//! actions read.
//!
//! A run that could not be judged has a suite of its own, whose case is in error.
//!
//! A case fails when an answer on its route differs in a way that counts or did not come whole; it is
//! skipped when nothing on it could be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::one_line;
use super::summary::{Judgement, RouteSummary, Summary};
use super::visible::{excerpt, visible};
use super::xml::Xml;

/// Differences listed for a failing case.
const MOST_LISTED: usize = 20;

/// A suite: its name and cases.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

struct Case {
    class: String,
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Skipped(String),
    Failed { message: String, details: String },
    Error(String),
}

/// The document. Characters that XML 1.0 has no place for are written as escapes.
pub(super) fn render(summary: &Summary) -> String {
    let suites = suites(summary);
    let count = |which: fn(&Outcome) -> bool| {
        suites.iter().flat_map(|suite| &suite.cases).filter(|case| which(&case.outcome)).count().to_string()
    };
    let mut xml = Xml::new();
    xml.open(
        "testsuites",
        &[
            ("name", "shadowcap"),
            ("tests", &count(|_| true)),
            ("failures", &count(Outcome::is_failure)),
            ("errors", &count(Outcome::is_error)),
        ],
    );
    for suite in &suites {
        suite.write(&mut xml);
    }
    xml.finish()
}

fn suites(summary: &Summary) -> Vec<Suite> {
    let mut suites = Vec::new();
    if summary.verdict == Judgement::Inconclusive {
        // A pipeline that looks at this file alone must not take what was not judged for passed.
        let outcome = Outcome::Error(summary.reasons.join("; "));
        let case = Case { class: "shadowcap".to_owned(), name: "the run can be judged".to_owned(), outcome };
        suites.push(Suite { name: "shadowcap".to_owned(), cases: vec![case] });
    }
    let mut hosts = BTreeMap::<&str, Vec<Case>>::new();
    for route in &summary.routes {
        hosts.entry(&route.host).or_default().push(case(summary, route));
    }
    let named = |host: &str| if host.is_empty() { "(no host)".to_owned() } else { host.to_owned() };
    suites.extend(hosts.into_iter().map(|(host, cases)| Suite { name: named(host), cases }));
    suites
}

fn case(summary: &Summary, route: &RouteSummary) -> Case {
    let v = &route.verdicts;
    let compared = v.compared();
    let outcome = if v.different + v.failed > 0 {
        let message = format!("{} of {compared} compared differ, {} failed", v.different, v.failed);
        Outcome::Failed { message, details: details(summary, route) }
    } else if compared == 0 {
        Outcome::Skipped("nothing on this route could be compared".to_owned())
    } else {
        Outcome::Passed
    };
    Case { class: route.host.clone(), name: route.route.clone(), outcome }
}

fn details(summary: &Summary, route: &RouteSummary) -> String {
    let mut out = String::new();
    let counted = summary
        .differences
        .iter()
        .filter(|d| d.class.counts() && d.host == route.host && d.route == route.route);
    for d in counted.take(MOST_LISTED) {
        let side = |value: &Option<String>| value.as_deref().map_or("absent".to_owned(), |v| excerpt(v, 200));
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "{} x {}: v1 {} | v2 {} (exchanges {}){}",
            d.count,
            visible(&one_line(d.class, d.layer, &d.path, d.kind)),
            side(&d.v1_example),
            side(&d.v2_example),
            d.exchanges.join(" "),
            d.measured().map(|measured| format!("; {measured}")).unwrap_or_default(),
        );
    }
    out
}

impl Suite {
    fn write(&self, xml: &mut Xml) {
        let count = |which: fn(&Outcome) -> bool| {
            self.cases.iter().filter(|case| which(&case.outcome)).count().to_string()
        };
        xml.open(
            "testsuite",
            &[
                ("name", &self.name),
                ("tests", &self.cases.len().to_string()),
                ("failures", &count(Outcome::is_failure)),
                ("errors", &count(Outcome::is_error)),
                ("skipped", &count(|outcome| matches!(outcome, Outcome::Skipped(_)))),
            ],
        );
        for case in &self.cases {
            case.write(xml);
        }
        xml.close();
    }
}

impl Case {
    fn write(&self, xml: &mut Xml) {
        let attributes = [("name", self.name.as_str()), ("classname", self.class.as_str())];
        if matches!(self.outcome, Outcome::Passed) {
            return xml.leaf("testcase", &attributes, "");
        }
        xml.open("testcase", &attributes);
        match &self.outcome {
            Outcome::Passed => {}
            // Older grammars know no `message` here; what reads one reads the text where there is none.
            Outcome::Skipped(message) => xml.leaf("skipped", &[], message),
            Outcome::Failed { message, details } => {
                xml.leaf("failure", &[("type", "difference"), ("message", message)], details);
            }
            Outcome::Error(message) => {
                xml.leaf("error", &[("type", "inconclusive"), ("message", message)], "");
            }
        }
        xml.close();
    }
}

impl Outcome {
    const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }
}
