//! Scripts for Node.js, with the packages from npm that `tests/setup/browser` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Skip, require_tool};

/// The folder of npm's packages, where `make setup-test` put them; `package` has to be there.
pub fn node_packages(package: &str) -> Result<PathBuf, Skip> {
    require_tool("node", "--version")?;
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node");
    if place.join("node_modules").join(package).exists() {
        Ok(place)
    } else {
        Err(Skip::NotSetUp(format!("there is no {package} in target/node; `make setup-test` puts it there")))
    }
}

/// What a script prints that is given the folder of the packages behind these arguments, of which the first is the
/// script's path.
pub fn node(arguments: &[&str], package: &str) -> Result<String, Skip> {
    let place = node_packages(package)?;
    let mut command = Command::new("node");
    command.args(arguments).arg(place).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout).unwrap())
}
