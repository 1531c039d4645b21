//! The view on a terminal.

use std::process::Stdio;

use crate::lab::{Lab, balance, summary};
use crate::support::{PATIENCE, Process, require_tool};

#[test]
fn on_a_terminal_the_run_is_drawn_and_the_terminal_given_back() {
    let lab = or_skip!(Lab::new());
    or_skip!(require_tool("script", "--version"));
    let v2 = or_skip!(lab.v2_beside());
    let folder = tempfile::TempDir::new().unwrap();
    let line = format!(
        "stty rows 40 cols 120; exec {} live -i veth0 -f tcp --to {} --out run --ui --duration 3s",
        env!("CARGO_BIN_EXE_shadowcap"),
        v2.url()
    );
    let mut command = lab.cable.b.command("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm-256color").current_dir(folder.path()).stdin(Stdio::null());
    let mut process = Process::spawn(command, "KILL");
    process
        .stdout
        .wait_for(|lines| lines.iter().any(|line| line.contains("Capturing on ")).then_some(()))
        .unwrap();
    lab.curl("drawn", 5);
    v2.wait_for_requests(5);
    let ended = process.wait(PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{}", process.describe());
    let text = process.stdout.text();
    let (before, screen) = text.split_once("\x1b[?1049h").unwrap_or_else(|| panic!("no screen: {text:?}"));
    assert!(before.contains("Capturing on veth0"), "{before:?}");
    let (screen, after) =
        screen.split_once("\x1b[?1049l").unwrap_or_else(|| panic!("not given back: {text:?}"));
    assert!(screen.contains("shadowcap live: veth0"), "{screen:?}");
    assert!(after.contains("PASS"), "{after:?}");
    assert_eq!(balance(&summary(&folder.path().join("run"))), (5, 5, 0));
}
