//! `report.html` in a browser.

use std::path::Path;

use crate::made::{Talk, answer, demo, full, replayed};
use crate::outside::{chromium, faults};
use crate::outside::{invalid, invalid_junit};

fn look(page: &Path, kind: &str) -> Result<Vec<String>, crate::support::Skip> {
    let page = page.display().to_string();
    // Pictures for the README: SHADOWCAP_SCREENSHOTS=reports/sample cargo test --test report browser::
    let pictures = std::env::var("SHADOWCAP_SCREENSHOTS").ok();
    let chromium = chromium()?;
    let arguments: Vec<&str> =
        [chromium.as_str(), &page, kind].into_iter().chain(pictures.as_deref()).collect();
    faults("browser.mjs", &arguments)
}

#[test]
fn a_reader_of_a_real_runs_report_finds_every_part_by_mouse_keyboard_and_link() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    let faults = or_skip!(look(&folder.path().join("run/report.html"), "real"));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_page_in_which_everything_occurs_shows_it_and_adds_up() {
    let folder = tempfile::tempdir().unwrap();
    let finished = full(folder.path());
    assert!(finished.stdout.lines().count() <= 40, "more than a screen: {finished}");
    let run = folder.path().join("run");
    let faults = or_skip!(look(&run.join("report.html"), "full"));
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(or_skip!(invalid_junit(&run.join("junit.xml"))), "");
    let faults = or_skip!(invalid("json", &run.join("summary.json"), Some("summary.schema.json")));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn pages_of_runs_that_pass_or_cannot_be_judged_are_accessible_too() {
    let ok = answer("HTTP/1.1 200 OK", b"same");
    let talk =
        Talk { request: b"GET / HTTP/1.1\r\nHost: h\r\nX-Case: 0\r\n\r\n".to_vec(), v1: ok.clone(), v2: ok };
    let passed = replayed(std::slice::from_ref(&talk), &[]);
    passed.exits(0);
    let unjudged = replayed(&[talk], &["--min-compared", "9"]);
    unjudged.exits(3);
    for run in [passed, unjudged] {
        let faults = or_skip!(look(&run.folder().join("run/report.html"), "small"));
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[test]
fn nothing_that_the_wire_sent_runs_in_the_page() {
    let run = crate::injection::run();
    let faults = or_skip!(look(&run.folder().join("run/report.html"), "hostile"));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_largest_page_opens_and_filters() {
    let folder = tempfile::tempdir().unwrap();
    let page = crate::scale::large_report(folder.path());
    let size = std::fs::metadata(&page).unwrap().len();
    assert!((8 << 20..20 << 20).contains(&size), "{size} bytes");
    let faults = or_skip!(look(&page, "large"));
    assert!(faults.is_empty(), "{faults:#?}");
}
