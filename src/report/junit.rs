//! `junit.xml`: a suite for each host, a case for each route.
//!
//! A run that could not be judged has a suite of its own, whose case is in error.
//!
//! A case fails when an answer on its route differs in a way that counts or did not come whole; it is
//! skipped when nothing on it could be compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::one_line;
use super::summary::{Judgement, RouteSummary, Summary};
use super::visible::{excerpt, visible};

/// Differences listed for a failing case.
const MOST_LISTED: usize = 20;

/// The document. Characters that XML 1.0 has no place for are written as escapes.
///
/// # Errors
/// None that are known of; the serializer's type has them.
pub(super) fn render(summary: &Summary) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("shadowcap");
    let mut hosts = BTreeMap::<&str, Vec<&RouteSummary>>::new();
    for route in &summary.routes {
        hosts.entry(&route.host).or_default().push(route);
    }
    if summary.verdict == Judgement::Inconclusive {
        // A pipeline that looks at this file alone must not take what was not judged for passed.
        let mut suite = TestSuite::new("shadowcap");
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("inconclusive").set_message(visible(&summary.reasons.join("; ")).as_ref());
        suite.add_test_case(TestCase::new("the run can be judged", status));
        report.add_test_suite(suite);
    }
    for (host, routes) in hosts {
        let name = if host.is_empty() { "(no host)".into() } else { visible(host) };
        let mut suite = TestSuite::new(name.as_ref());
        suite.add_test_cases(routes.into_iter().map(|route| case(summary, route)));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn case(summary: &Summary, route: &RouteSummary) -> TestCase {
    let v = &route.verdicts;
    let status = if v.different + v.failed > 0 {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let compared = v.compared();
        status
            .set_type("difference")
            .set_message(format!("{} of {compared} compared differ, {} failed", v.different, v.failed))
            .set_description(details(summary, route));
        status
    } else if v.compared() == 0 {
        let mut status = TestCaseStatus::skipped();
        status.set_message("nothing on this route could be compared");
        status
    } else {
        TestCaseStatus::success()
    };
    let mut case = TestCase::new(visible(&route.route).as_ref(), status);
    case.set_classname(visible(&route.host).as_ref());
    case
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
            "{} x {}: v1 {} | v2 {} (exchanges {})",
            d.count,
            visible(&one_line(d.class, d.layer, &d.path, d.kind)),
            side(&d.v1_example),
            side(&d.v2_example),
            d.exchanges.join(" "),
        );
    }
    out
}
