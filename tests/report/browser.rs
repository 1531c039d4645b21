//! `report.html` in a browser.

use std::path::Path;

use crate::made::demo;
use crate::outside::{chromium, faults};

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
