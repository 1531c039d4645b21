//! The files for pipelines, judged by parsers of other makers, on a run with nothing hostile in it.

use serde_json::Value;

use crate::made::demo;
use crate::outside::{invalid, invalid_junit};
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
