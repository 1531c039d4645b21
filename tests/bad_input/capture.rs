use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::made::{self, FILE_HEADER, PACKET_HEADER, packets_of_connection};
use crate::support::{Finished, RawServer, Reply, Shadowcap, Skip, is_root, refusing_address, require_tool};
use crate::{ends, other_answer, reasons, refuses, replay, same_v2, summary, summary_in, targets, with_file};

/// Runs `inspect` and `replay` on the same capture, and gives both ends; nothing may reach the target.
fn both(arguments: &[&str], prepare: impl Fn(Shadowcap) -> Shadowcap) -> [Finished; 2] {
    let v2 = same_v2();
    let inspected = prepare(Shadowcap::new([&["inspect"], arguments].concat())).run();
    let replayed = prepare(replay(&v2.url(), arguments)).run();
    assert!(v2.requests().is_empty());
    [inspected, replayed]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_is_no_capture_is_named_and_nothing_is_sent() {
    let har = br#"{"log": {"version": "1.2", "creator": {"name": "x"}, "entries": []}}"#;
    let whole = made::exchanges(1, 1).bytes;
    let text = b"12:00:00.000000 IP 192.0.2.1.40000 > 192.0.2.80.80: Flags [S]\n";
    let cases: [(&str, Vec<u8>, &[&str]); 8] = [
        ("empty", vec![], &["the file is empty (0 bytes)", "had not flushed yet"]),
        ("text", text.to_vec(), &["not a capture: it looks like text", "`tcpdump -w`"]),
        (
            "png",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(),
            &["not a capture", "pcap and pcapng files are read"],
        ),
        ("har", har.to_vec(), &["it looks like an HTTP archive (HAR)", "`tcpdump -w`"]),
        ("text.gz", gzip(text), &["it looks like text"]),
        ("zip", b"PK\x03\x04rest".to_vec(), &["it is a zip file", "unpack it first"]),
        ("cut-in-magic", whole[..3].to_vec(), &["cut off at byte 3, inside its header", "capture again"]),
        ("cut-in-header", whole[..20].to_vec(), &["cut off at byte 20, inside its header", "capture again"]),
    ];
    for (name, bytes, parts) in cases {
        for finished in both(&[name], |program| with_file(program, name, &bytes)) {
            refuses(&finished, 3, &[&format!("error: {name}: ")]);
            refuses(&finished, 3, parts);
        }
    }
}

#[test]
fn a_capture_that_is_not_there_is_named_and_nothing_is_sent() {
    let prepare = |program: Shadowcap| {
        std::fs::create_dir(program.folder().join("nothing")).unwrap();
        with_file(program, "texts/notes.txt", b"not packets")
    };
    for (name, parts) in [
        ("gone.pcap", &["gone.pcap: no such file", "check the path"][..]),
        ("rotated/*.pcap", &["rotated/*.pcap: ", "no file"]),
        ("nothing", &["nothing: ", "no file"]),
        ("texts", &["texts: its one file is no capture", "texts/notes.txt", "it looks like text"]),
        ("texts/[.pcap", &["texts/[.pcap", "not a valid pattern"]),
    ] {
        let code = if name.contains('[') { 2 } else { 3 };
        for finished in both(&[name], prepare) {
            refuses(&finished, code, parts);
        }
    }
}

#[test]
fn standard_input_that_is_empty_or_named_twice_is_an_error() {
    for finished in both(&["-"], |program| program) {
        refuses(&finished, 3, &["standard input: the file is empty"]);
    }
    for finished in both(&["-", "-"], |program| program) {
        refuses(&finished, 2, &["named twice"]);
    }
}

#[test]
fn an_address_that_gives_no_capture_is_an_error_that_says_why() {
    let server = RawServer::start(crate::support::Script::new(|_| Reply::status(404, "gone")));
    let (refusing, _socket) = refusing_address();
    for finished in both(&[&format!("{}/a.pcap", server.url())], |program| program) {
        refuses(&finished, 3, &["/a.pcap: the server answered 404", "check the address"]);
    }
    for finished in both(&[&format!("http://{refusing}/a.pcap")], |program| program) {
        refuses(&finished, 3, &["/a.pcap: cannot be fetched: ", "refused", "check the address"]);
    }
}

/// Starts the program so that the modes of files count, even for root.
pub(crate) fn bound_by_modes() -> Result<Command, Skip> {
    if !is_root() {
        return Ok(Command::new("env"));
    }
    require_tool("setpriv", "--version")?;
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search");
    Ok(command)
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_that_says_so() {
    let program = Shadowcap::under(or_skip!(bound_by_modes()), ["inspect", "secret.pcap"]);
    let program = with_file(program, "secret.pcap", &made::exchanges(1, 1).bytes);
    let mode = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(program.folder().join("secret.pcap"), mode).unwrap();
    refuses(&program.run(), 3, &["secret.pcap: permission denied", "owner or mode"]);
}

#[test]
fn a_folder_is_a_capture_where_it_holds_some() {
    let prepare = |program: Shadowcap| {
        let program = with_file(program, "day/notes.txt", b"not packets");
        with_file(program, "day/1.pcap", &made::exchanges(2, 2).bytes)
    };
    let inspected = prepare(Shadowcap::new(["inspect", "--format", "json", "day"])).run();
    ends(&inspected, 0);
    assert_eq!(inspected.json()["http"]["exchanges"], 4);
    assert_eq!(inspected.json()["capture"]["skipped_files"][0]["name"], "day/notes.txt");
    let v2 = same_v2();
    let replayed = prepare(replay(&v2.url(), &["day"])).run();
    ends(&replayed, 0);
    assert_eq!((summary(&replayed)["exchanges"]["replayed"].as_u64(), v2.requests().len()), (Some(4), 4));
}

#[test]
fn what_comes_before_a_cut_is_read_and_the_cut_is_noted() {
    // The fourth of four connections is cut off in its first packet.
    let made = made::exchanges(4, 5);
    let last = made.packets[3 * packets_of_connection(5)];
    assert_eq!(made.packets[0], FILE_HEADER);
    for cut in [last + 7, last + PACKET_HEADER + 9] {
        let prepare = |program| with_file(program, "cut.pcap", &made.bytes[..cut]);
        let text = prepare(Shadowcap::new(["inspect", "cut.pcap"])).run();
        ends(&text, 0);
        text.stdout_has(&format!("cut.pcap breaks off at byte {last}; what came before is read"));
        let json = prepare(Shadowcap::new(["inspect", "--format", "json", "cut.pcap"])).run();
        assert_eq!(json.json()["http"]["exchanges"], 15);
        assert_eq!(json.json()["capture"]["files"][0]["truncated_at"], last);
        let v2 = same_v2();
        let replayed = prepare(replay(&v2.url(), &["cut.pcap"])).run();
        ends(&replayed, 0);
        let summary = summary(&replayed);
        assert_eq!((v2.requests().len(), &summary["verdict"]), (15, &"pass".into()));
        assert_eq!(summary["anomalies"]["truncated-file"], 1, "{summary:#}");
    }
}

#[test]
fn what_comes_before_damage_is_replayed_and_nothing_is_proved() {
    let made = made::exchanges(4, 5);
    let (packet, offset) = (2 * packets_of_connection(5), made.packets[2 * packets_of_connection(5)]);
    let bytes = made.damaged_at(offset);
    let damage = format!("bad.pcap: damaged at byte {offset}, at packet {}", packet + 1);
    let prepare = |program| with_file(program, "bad.pcap", &bytes);

    let inspected = prepare(Shadowcap::new(["inspect", "bad.pcap"])).run();
    ends(&inspected, 3);
    inspected.stderr_has(&damage).stdout_has("shop:8000/1/4").stdout_has("exchanges  10");

    let v2 = same_v2();
    let replayed = prepare(replay(&v2.url(), &["bad.pcap"])).run();
    ends(&replayed, 3);
    replayed.stderr_has(&damage).stdout_has("INCONCLUSIVE").stdout_has(&damage);
    let same = summary(&replayed);
    assert_eq!((v2.requests().len(), &same["verdict"]), (10, &"inconclusive".into()));
    assert!(reasons(&same).contains(&damage), "{same:#}");
    assert!(same["broken_off"].as_str().unwrap().contains(&damage));
    for report in ["run/report.html", "run/summary.md", "run/junit.xml"] {
        assert!(replayed.file(report).contains(&damage), "{report}");
    }

    // Made again from the recording, the report says the same.
    let again = Shadowcap::new(["report", "--out", "again"]).arg(replayed.folder().join("run")).run();
    ends(&again, 3);
    let again = summary_in(&again, "again".as_ref());
    assert_eq!((&again["reasons"], &again["broken_off"]), (&same["reasons"], &same["broken_off"]));
}

#[test]
fn differences_count_even_where_the_capture_breaks_off() {
    let made = made::exchanges(2, 5);
    let offset = made.packets[packets_of_connection(5)];
    let v2 = RawServer::start(crate::support::Script::new(|_| other_answer()));
    let finished = with_file(replay(&v2.url(), &["bad.pcap"]), "bad.pcap", &made.damaged_at(offset)).run();
    ends(&finished, 1);
    let summary = summary(&finished);
    assert_eq!(summary["verdict"], "fail");
    assert!(reasons(&summary).contains("damaged at byte"), "{summary:#}");
}

#[test]
fn the_other_files_of_a_set_are_read_where_one_is_damaged() {
    let damaged = made::exchanges_with("192.0.2.81:80", 2, 2);
    let offset = damaged.packets[packets_of_connection(2)];
    let damaged = damaged.damaged_at(offset);
    let whole = made::exchanges(3, 2).bytes;
    let prepare = |program| with_file(with_file(program, "set/a.pcap", &damaged), "set/b.pcap", &whole);
    let inspected = prepare(Shadowcap::new(["inspect", "--format", "json", "set"])).run();
    ends(&inspected, 3);
    inspected.stderr_has("set/a.pcap: damaged at byte");
    assert_eq!(inspected.json()["http"]["exchanges"], 2 + 6);
    let v2 = same_v2();
    let replayed = prepare(replay(&v2.url(), &["set"])).run();
    ends(&replayed, 3);
    assert_eq!(summary(&replayed)["exchanges"]["replayed"], 2 + 6);
    assert_eq!(targets(&v2).len(), 8);
}

#[test]
fn a_capture_without_http_is_described_and_proves_nothing() {
    let bytes = made::without_http().bytes;
    let [inspected, replayed] = both(&["ssh.pcap"], |program| with_file(program, "ssh.pcap", &bytes));
    ends(&inspected, 0);
    inspected.stderr_has("no HTTP exchange in 11 packets").stderr_has("1").stderr_has("clear text");
    ends(&replayed, 3);
    replayed.stdout_has("INCONCLUSIVE").stdout_has("nothing was compared");
    let summary = summary(&replayed);
    assert!(reasons(&summary).contains("the capture holds no HTTP request"), "{summary:#}");
    assert!(reasons(&summary).contains("shadowcap inspect"), "{summary:#}");
}
