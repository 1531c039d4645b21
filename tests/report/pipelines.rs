//! The files for pipelines, judged by parsers of other makers, on a run with nothing hostile in it.

use serde_json::Value;

use crate::made::demo;
use crate::outside::{invalid, invalid_junit, junit_as_read};
use crate::support::Shadowcap;

#[test]
fn every_file_of_a_real_run_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    let at = |name: &str| folder.path().join("run").join(name);
    assert_eq!(or_skip!(invalid_junit(&at("junit.xml"))), "");
    for (kind, name, schema) in [
        ("json", "summary.json", Some("summary.schema.json")),
        ("csv", "exchanges.csv", None),
        ("csv", "differences.csv", None),
        ("markdown", "summary.md", None),
    ] {
        let faults = or_skip!(invalid(kind, &at(name), schema));
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

/// The rows of a CSV file, each as an object of its cells by their columns.
fn objects(text: &str) -> Vec<Value> {
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    let columns = csv.headers().unwrap().clone();
    let object = |record: csv::StringRecord| {
        columns.iter().zip(&record).map(|(column, cell)| (column.to_owned(), cell.into())).collect()
    };
    csv.records().map(|record| Value::Object(object(record.unwrap()))).collect()
}

#[test]
fn the_columns_of_the_csv_files_are_those_of_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    for name in ["exchanges.csv", "differences.csv"] {
        for text in [
            std::fs::read_to_string(folder.path().join("run").join(name)).unwrap(),
            crate::injection::run().file(format!("run/{name}")),
        ] {
            let whole: Value = serde_json::from_str(shadowcap::report::EXCHANGE_SCHEMA).unwrap();
            let schema = serde_json::json!({ "$ref": format!("#/$defs/{name}"), "$defs": whole["$defs"] });
            let validator = jsonschema::validator_for(&schema).unwrap();
            let rows = objects(&text);
            assert!(rows.len() > 3);
            for row in rows {
                let faults: Vec<_> = validator.iter_errors(&row).map(|e| e.to_string()).collect();
                assert!(faults.is_empty(), "{name}: {row}: {faults:?}");
            }
        }
    }
}

#[test]
fn exports_hold_every_row() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    let run = folder.path().join("run").display().to_string();
    let export = |form: &str| {
        let exported = Shadowcap::new(["report", &run, "--export", form]).run();
        exported.exits(0);
        exported
    };
    let csv = export("csv").stdout;
    let file = std::fs::read_to_string(folder.path().join("run/exchanges.csv")).unwrap();
    assert!(csv == file, "the export is the file");
    let rows = objects(&csv).len();
    assert_eq!(export("ndjson").json_lines().len(), rows);
    let har = export("har").json();
    assert_eq!(har["log"]["entries"].as_array().unwrap().len(), 2 * rows);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_fault() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    let run = folder.path().join("run").display().to_string();
    let csv = std::fs::read_to_string(folder.path().join("run/exchanges.csv")).unwrap();
    let id = csv.lines().nth(1).unwrap().split(',').next().unwrap();
    for arguments in [["--show", id], ["--export", "ndjson"], ["--export", "har"], ["--export", "csv"]] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_shadowcap"))
            .args(["report", &run])
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads: the first write finds the pipe closed.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn what_reads_junit_files_reads_routes_and_their_results() {
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path());
    let run = folder.path().join("run");
    let suites = or_skip!(junit_as_read(&run.join("junit.xml")));
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    let routes = summary["routes"].as_array().unwrap();
    let cases: Vec<_> = suites.iter().flat_map(|suite| suite["cases"].as_array().unwrap()).collect();
    let hosts: std::collections::BTreeSet<_> =
        routes.iter().map(|route| route["host"].as_str().unwrap()).collect();
    for route in routes {
        let case = cases.iter().find(|case| case["name"] == route["route"]);
        let case = case.unwrap_or_else(|| panic!("no case for {route}"));
        let bad =
            route["verdicts"]["different"].as_u64().unwrap() + route["verdicts"]["failed"].as_u64().unwrap();
        assert_eq!(case["results"].to_string().contains("Failure"), bad > 0, "{case} {route}");
    }
    for host in hosts {
        assert!(
            suites.iter().any(|suite| suite["suite"].as_str().unwrap().contains(host)),
            "{host}: {suites:?}"
        );
    }
}
