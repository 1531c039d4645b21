//! Where users run it: what `deploy/` holds is valid and means what it says, and mirrored traffic is shadowed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::lab::{Lab, balance, summary};
use crate::support::{Namespace, Nginx, Process, Shadowcap, Skip, venv};

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// The manifests that are whole objects.
const MANIFESTS: [&str; 2] = ["sidecar.yaml", "mirror-port.yaml"];

#[test]
fn manifests_are_valid_for_the_oldest_and_the_latest_kubernetes() {
    let validator = or_skip!(venv()).join("bin/kubernetes-validate");
    if !validator.exists() {
        return Skip::NotSetUp(
            "target/venv has no kubernetes-validate; `make setup-test` installs it".into(),
        )
        .report();
    }
    for version in ["1.29", "1.37"] {
        for manifest in MANIFESTS {
            let mut command = Command::new(&validator);
            let output =
                command.args(["-k", version, "--strict"]).arg(deploy().join(manifest)).output().unwrap();
            assert!(output.status.success(), "{manifest}, {version}: {output:?}");
        }
    }
    // The custom profile is a part of a container.
    let pod = tempfile::TempDir::new().unwrap();
    let custom = fs::read_to_string(deploy().join("ephemeral.yaml")).unwrap();
    let indented = custom.lines().fold(String::new(), |text, line| text + "      " + line + "\n");
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  containers:\n    - name: x\n      image: x\n{indented}"
    );
    let file = pod.path().join("pod.yaml");
    fs::write(&file, text).unwrap();
    let output = Command::new(&validator).args(["-k", "1.29", "--strict"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The arguments of the manifest's container: the items of its `args` list.
fn arguments(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(deploy().join(manifest)).unwrap();
    let after = text.lines().skip_while(|line| line.trim() != "args:").skip(1);
    let items = after.map(str::trim).take_while(|line| line.starts_with("- ") || line.starts_with('#'));
    items.filter_map(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

#[test]
fn the_manifests_arguments_are_understood() {
    // In a namespace without the interface that they name: everything else about them is in order.
    let namespace = or_skip!(Namespace::new());
    for manifest in MANIFESTS {
        let arguments = arguments(manifest);
        assert!(arguments.len() >= 5, "{manifest}: {arguments:?}");
        let finished = Shadowcap::new_in(&namespace, &arguments).run();
        finished.exits(2).stderr_has(": no such interface");
    }
}

/// A line of a document as a shell splits it: blanks between words, and what is quoted whole.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for letter in line.chars().chain([' ']) {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            letter => word.push(letter),
        }
    }
    words
}

/// The arguments of `shadowcap live` in the commands of a document that start a container.
fn containers(file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(deploy().join(file)).unwrap();
    let lines = text.lines().map(|line| line.trim_start_matches('#').trim());
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", "");
    let commands =
        text.lines().filter(|line| line.starts_with("kubectl debug") || line.starts_with("docker run"));
    let arguments =
        |line: &str| words(line).into_iter().skip_while(|word| word != "live").collect::<Vec<_>>();
    commands.map(arguments).collect()
}

#[test]
fn the_arguments_of_documented_containers_are_understood() {
    let namespace = or_skip!(Namespace::new());
    for file in ["README.md", "Dockerfile", "ephemeral.yaml"] {
        let commands = containers(file);
        assert!(!commands.is_empty(), "{file}");
        for mut arguments in commands {
            assert!(arguments.len() >= 5, "{file}: {arguments:?}");
            let interface = arguments.iter().position(|word| word == "-i").unwrap() + 1;
            // `any` is everywhere; and what follows it would be asked for first.
            arguments[interface] = "nowhere".to_owned();
            let finished = Shadowcap::new_in(&namespace, &arguments).run();
            finished.exits(2).stderr_has("nowhere: no such interface");
        }
    }
}

#[test]
fn the_dockerfile_is_valid_and_names_what_there_is() {
    let linter = or_skip!(venv()).join("bin/hadolint");
    if !linter.exists() {
        return Skip::NotSetUp("target/venv has no hadolint; `make setup-test` installs it".into()).report();
    }
    let output = Command::new(&linter).arg(deploy().join("Dockerfile")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(deploy().join("Dockerfile")).unwrap();
    for part in
        ["deploy/build-by-profile", "/src/target/by-profile/shadowcap", "setcap cap_net_raw+ep", "USER 65532"]
    {
        assert!(text.contains(part), "{part}");
    }
}

/// A container is started again in the folder of the one before it, at most a second later.
#[test]
fn a_container_that_is_started_again_goes_on_beside_the_first_ones_reports() {
    let lab = or_skip!(Lab::new());
    let v2 = or_skip!(lab.v2_beside());
    let to = format!("--to={}", v2.url());
    let mut arguments = arguments("sidecar.yaml");
    for argument in &mut arguments {
        let option = argument.split('=').next().unwrap().to_owned();
        match option.as_str() {
            "--interface" => *argument = "--interface=veth0".to_owned(),
            "--bpf" => *argument = "--bpf=tcp port 8000".to_owned(),
            "--percent" => *argument = "--percent=100".to_owned(),
            "--to" => argument.clone_from(&to),
            _ => {}
        }
    }
    let data = tempfile::TempDir::new().unwrap();
    for start in 1..=2 {
        let mut command = lab.cable.b.command(env!("CARGO_BIN_EXE_shadowcap"));
        command.args(&arguments).current_dir(data.path()).stdin(Stdio::null());
        let mut process = Process::spawn(command, "KILL");
        process.wait_for_stderr("Capturing on ");
        lab.curl("again", 10);
        v2.wait_for_requests(start * 10);
        // The first is killed, as by a lack of memory, and leaves what it has.
        process.signal(if start == 1 { "KILL" } else { "TERM" });
        let ended = process.wait(crate::support::PATIENCE);
        assert!(ended.is_some_and(|status| status.success()) || start == 1, "{}", process.describe());
    }
    let folders = fs::read_dir(data.path().join("reports")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders.collect();
    folders.sort();
    let last = folders.last().unwrap();
    assert_eq!(balance(&summary(last)), (10, 10, 0));
    // What is left is the reports alone, which do not grow with what is captured.
    assert!(!last.join("recording.jsonl.zst").exists() && !last.join("exchanges.csv").exists());
}

/// Copies what passes the server's end of the cable, in both directions, to the monitor: as frames, as a switch's mirror
/// port does, or in VXLAN (RFC 7348), as clouds do.
fn mirror(lab: &Lab, how: &str) -> Process {
    let script = "import socket, sys\n\
                  vxlan = sys.argv[1] == 'vxlan'\n\
                  tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n\
                  tap.bind(('veth0', 3))\n\
                  if vxlan:\n\
                  \x20   out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                  else:\n\
                  \x20   out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\n\
                  \x20   out.bind(('mirror', 0))\n\
                  print('ready', file=sys.stderr, flush=True)\n\
                  while True:\n\
                  \x20   frame = tap.recv(65535)\n\
                  \x20   if vxlan: out.sendto(bytes.fromhex('0800000000000700') + frame, ('10.98.0.2', 4789))\n\
                  \x20   else: out.send(frame)\n";
    let mut command = lab.cable.b.command("python3");
    command.args(["-c", script, how]).stdin(Stdio::null());
    let process = Process::spawn(command, "KILL");
    process.wait_for_stderr("ready");
    process
}

/// A third namespace with a cable to the server's, on which mirrored traffic arrives.
fn monitor(lab: &Lab) -> Result<Namespace, Skip> {
    let monitor = Namespace::new()?;
    lab.cable.b.ip(&[
        "link",
        "add",
        "mirror",
        "type",
        "veth",
        "peer",
        "name",
        "mirror",
        "netns",
        monitor.name(),
    ]);
    for (end, address) in [(&lab.cable.b, "10.98.0.1/24"), (&monitor, "10.98.0.2/24")] {
        end.ip(&["addr", "add", address, "dev", "mirror"]);
        end.ip(&["link", "set", "mirror", "up"]);
    }
    Ok(monitor)
}

/// Shadows what arrives at the monitor to a v2 that stands there.
fn shadow_at(monitor: &Namespace, lab: &Lab, filter: &[&str]) {
    let v2 = "10.98.0.2:9000".parse().unwrap();
    let v2 = Nginx::start_in(monitor, v2, crate::lab::SITE).unwrap();
    let arguments = ["live", "-i", "mirror", "--port", "8000", "--to", &v2.url(), "--out", "run"];
    let running = Shadowcap::new_in(monitor, [&arguments[..], filter].concat()).spawn();
    running.process.wait_for_stderr("Capturing on ");
    lab.curl("mirrored", 30);
    v2.wait_for_requests(30);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    assert_eq!(balance(&summary(&finished.folder().join("run"))), (30, 30, 0));
}

#[test]
fn from_a_mirror_port() {
    let lab = or_skip!(Lab::new());
    let monitor = or_skip!(monitor(&lab));
    let _mirror = mirror(&lab, "frames");
    shadow_at(&monitor, &lab, &[]);
}

#[test]
fn from_a_vxlan_mirror() {
    let lab = or_skip!(Lab::new());
    let monitor = or_skip!(monitor(&lab));
    let _mirror = mirror(&lab, "vxlan");
    shadow_at(&monitor, &lab, &["-f", "udp port 4789"]);
}
