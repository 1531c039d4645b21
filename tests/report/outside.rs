//! Parsers from outside, and what they say.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Skip, node_packages, require_tool, venv};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Chromium, by the names that distributions give it.
pub(crate) fn chromium() -> Result<String, Skip> {
    require_tool("chromium", "--version").map(|()| "/usr/bin/chromium".to_owned()).or_else(|skip| {
        let found = |name: &&str| Command::new(name).arg("--version").stderr(Stdio::null()).output().is_ok();
        let other = ["chromium-browser", "google-chrome"].into_iter().find(found);
        other.map(|name| format!("/usr/bin/{name}")).ok_or(skip)
    })
}

/// Runs one of the scripts beside this file, which print the faults that they find as a list.
pub(crate) fn faults(script: &str, arguments: &[&str]) -> Result<Vec<String>, Skip> {
    let place = node_packages("playwright-core")?;
    let script = root().join("tests/report/node").join(script);
    let output =
        Command::new("node").arg(script).arg(place).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let list = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    print!("{}", String::from_utf8_lossy(&output.stderr));
    Ok(list.unwrap_or_else(|| panic!("{arguments:?}: {output:?}")))
}

/// What an independent parser finds wrong in a file; `schema` is a file of `src/report`.
pub(crate) fn invalid(kind: &str, file: &Path, schema: Option<&str>) -> Result<Vec<String>, Skip> {
    let schema = schema.map(|name| root().join("src/report").join(name).display().to_string());
    let file = file.display().to_string();
    let arguments: Vec<&str> = [kind, &file].into_iter().chain(schema.as_deref()).collect();
    faults("validate.mjs", &arguments)
}

/// What libxml2 finds wrong in a `junit.xml`, by the grammars of Jenkins' plugins, the present and an older one, and by
/// our own, which demands more.
pub(crate) fn invalid_junit(file: &Path) -> Result<String, Skip> {
    require_tool("xmllint", "--version")?;
    let mut faults = String::new();
    for grammar in ["target/grammars/junit-10.xsd", "target/grammars/junit-4.xsd", "tests/report/junit.xsd"] {
        let grammar = root().join(grammar);
        if !grammar.exists() {
            let path = grammar.display();
            return Err(Skip::NotSetUp(format!("there is no {path}; `make setup-test` puts it there")));
        }
        let mut command = Command::new("xmllint");
        command.args(["--noout", "--nonet", "--schema"]).arg(grammar).arg(file);
        let output = command.output().unwrap();
        if !output.status.success() {
            faults += &String::from_utf8_lossy(&output.stderr);
        }
    }
    Ok(faults)
}

/// What junitparser, which other tools read such files by, finds in a `junit.xml`: of each suite its name, and of each
/// case its class, name and the kinds of its results.
pub(crate) fn junit_as_read(file: &Path) -> Result<Vec<serde_json::Value>, Skip> {
    const SCRIPT: &str = "import json, sys\nfrom junitparser import JUnitXml\nfor suite in JUnitXml.fromfile(sys.argv[1]):\n  \
                          print(json.dumps({'suite': suite.name, 'tests': suite.tests, 'failures': suite.failures, 'errors': \
                          suite.errors, 'skipped': suite.skipped, 'cases': [{'class': c.classname, 'name': c.name, 'results': \
                          [type(r).__name__ for r in c.result]} for c in suite]}))";
    let python = venv()?.join("bin/python");
    let output = Command::new(python).args(["-c", SCRIPT]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Ok(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}
