use crate::made;
use crate::support::Shadowcap;
use crate::{ends, refuses, replay, same_v2, with_file};

#[test]
fn a_word_that_cannot_be_meant_is_named_with_its_option() {
    let v2 = same_v2();
    let bytes = made::exchanges(1, 1).bytes;
    let cases: [(&[&str], &[&str]); 20] = [
        (&["--percent", "101"], &["--percent", "101", "from 0 to 100"]),
        (&["--percent", "half"], &["--percent", "half", "from 0 to 100"]),
        (&["--speed", "0"], &["--speed", "above zero"]),
        (&["--speed", "fast"], &["--speed", "fast", "`max`"]),
        (&["--speed", "NaN"], &["--speed", "above zero"]),
        (&["--host-suffix", "-sha dow"], &["--host-suffix", "a host has no ' '"]),
        (&["--host-suffix", "-a\r\nX: y"], &["--host-suffix", "a host has no '\\r'"]),
        (&["--host", "a\tb"], &["--host", "a host has no '\\t'"]),
        (&["--set-header", "no colon"], &["--set-header", "no colon"]),
        (&["--set-header", "a b: c"], &["--set-header", "a b"]),
        (&["--set-header", "a: b\r\nc: d"], &["--set-header"]),
        (&["--remove-header", "a:"], &["--remove-header", "a:"]),
        (&["--concurrency", "0"], &["--concurrency", "0"]),
        (&["--timeout", "soon"], &["--timeout", "soon"]),
        (&["--timeout", "0s"], &["--timeout", "more than zero"]),
        (&["--max-body", "lots"], &["--max-body", "lots"]),
        (&["--port", "99999"], &["--port", "99999"]),
        (&["--seed", "x"], &["--seed", "x"]),
        (&["--speeed", "1"], &["--speeed", "--speed"]),
        (&["--host", "a", "--host-suffix", "b"], &["--host", "--host-suffix"]),
    ];
    for (arguments, parts) in cases {
        let program = replay(&v2.url(), &[&["a.pcap"], arguments].concat());
        let finished = with_file(program, "a.pcap", &bytes).run();
        refuses(&finished, 2, parts);
    }
    assert!(v2.connections().is_empty());
}

/// Under a limit of memory, since a file without an end would take all of it.
#[test]
fn a_file_of_the_users_that_is_no_text_or_has_no_end_is_named() {
    let capture = made::exchanges(1, 1).bytes;
    let run = |arguments: &[&str]| {
        let mut shell = std::process::Command::new("bash");
        shell.args(["-c", "ulimit -v 8000000; exec \"$0\" \"$@\""]);
        let arguments = [&["replay", "a.pcap", "--out", "run"], arguments].concat();
        let program = with_file(Shadowcap::under(shell, arguments), "a.pcap", &capture);
        with_file(program, "binary", b"\xff\xfe\x00\x01").run()
    };
    let to = ["--to", "http://127.0.0.1:9"];
    let tls = ["--to", "https://127.0.0.1:9"];
    for (file, problem) in [
        ("binary", "it is no text: byte 1 is not UTF-8"),
        ("/dev/zero", "it has more than 64 MiB"),
        (".", "directory"),
    ] {
        let replace = format!("replace={file}");
        refuses(&run(&[&to[..], &["--rules", file]].concat()), 2, &["--rules", file, problem]);
        refuses(&run(&[&to[..], &["--accepted", file]].concat()), 2, &[file, problem]);
        refuses(&run(&[&to[..], &["--credentials", &replace]].concat()), 2, &["--credentials", problem]);
        refuses(&run(&[&tls[..], &["--ca", file]].concat()), 2, &[file, "certificate"]);
        let identity = ["--cert", file, "--key", file];
        refuses(&run(&[&tls[..], &identity].concat()), 2, &[file, "private key"]);
    }
}

#[test]
fn times_that_nothing_lies_between_are_refused_and_those_that_miss_the_capture_are_told_its_own() {
    let v2 = same_v2();
    let bytes = made::exchanges(1, 1).bytes;
    let run = |from, to| {
        let program = replay(&v2.url(), &["a.pcap", "--from", from, "--to-time", to]);
        with_file(program, "a.pcap", &bytes).run()
    };
    for (from, to) in [("5m", "1m"), ("5m", "5m"), ("2026-11-22T12:00:01Z", "2026-11-22T12:00:00Z")] {
        refuses(&run(from, to), 2, &["--to-time", to, from]);
    }
    let finished = run("1h", "2h");
    ends(&finished, 3);
    finished.stdout_has("the capture goes from 2023-11-14T22:13:20");
    assert!(v2.connections().is_empty());
}

#[test]
fn a_target_that_is_no_address_of_a_service_is_named() {
    for (url, problem) in [
        ("127.0.0.1:8080", "write http://HOST:PORT"),
        ("localhost:8080", "write http://HOST:PORT"),
        ("ftp://127.0.0.1", "neither http, https nor unix"),
        ("unix:v2.sock", "the path of the socket is not absolute"),
        ("http://127.0.0.1/v2", "paths come from the capture"),
        ("http://me:secret@127.0.0.1", "credentials"),
        ("http://127.0.0.1:99999", "not a URL"),
        ("http://no-such-host.invalid", "does not resolve"),
        ("", "write http://HOST:PORT"),
    ] {
        let finished = with_file(replay(url, &["a.pcap"]), "a.pcap", &made::exchanges(1, 1).bytes).run();
        refuses(&finished, 2, &["--to", problem]);
        assert!(!finished.stderr.contains("secret"), "{finished}");
    }
}

#[test]
fn unknown_words_and_missing_ones_are_usage_errors() {
    for (arguments, part) in [
        (&["replay", "a.pcap"][..], "--to"),
        (&["replay", "--to", "http://127.0.0.1:1"], "CAPTURE"),
        (&["inspect"], "CAPTURE"),
        (&["inspect", "--format", "yaml", "a.pcap"], "jsonl"),
        (&["replya"], "replay"),
        (&["report"], "RUN"),
        (&["inspect", "--quiet", "--verbose", "a.pcap"], "--quiet"),
    ] {
        refuses(&Shadowcap::new(arguments.iter()).run(), 2, &[part]);
    }
}

#[test]
fn quiet_says_nothing_but_errors() {
    let v2 = same_v2();
    let bytes = made::exchanges(1, 2).bytes;
    let ssh = made::without_http().bytes;
    let quiet = |arguments: &[&str]| {
        let program = with_file(Shadowcap::new(arguments.iter()), "a.pcap", &bytes);
        with_file(program, "ssh.pcap", &ssh).run()
    };
    let url = v2.url();
    for arguments in [
        &["--quiet", "inspect", "a.pcap"][..],
        &["--quiet", "inspect", "ssh.pcap"],
        &["--quiet", "replay", "a.pcap", "--to", &url, "--out", "run"],
        &["--quiet", "demo", "--out", "run"],
    ] {
        let finished = quiet(arguments);
        ends(&finished, 0);
        assert_eq!(finished.stderr, "", "{finished}");
    }
    let finished = quiet(&["--quiet", "replay", "a.pcap", "--to", &url, "--out", "run", "--no-redact"]);
    assert!(
        finished.stderr.starts_with("WARNING: SECRETS WILL BE KEPT") && finished.stderr.lines().count() == 1
    );
    let finished = quiet(&["--quiet", "inspect", "gone.pcap"]);
    ends(&finished, 3);
    assert!(finished.stderr.starts_with("error: gone.pcap: ") && finished.stderr.lines().count() == 1);
}

#[test]
fn colour_comes_only_where_it_is_wanted() {
    let bytes = made::exchanges(1, 1).bytes;
    let inspect = |color: &str, no_color: &str| {
        let program = Shadowcap::new(["inspect", "a.pcap", "--color", color]).env("NO_COLOR", no_color);
        with_file(program, "a.pcap", &bytes).run()
    };
    for (color, no_color, colored) in
        [("always", "", true), ("auto", "", false), ("auto", "1", false), ("never", "", false)]
    {
        let finished = inspect(color, no_color);
        finished.exits(0);
        assert_eq!(finished.stdout.contains('\x1b'), colored, "{color} {no_color:?}\n{finished}");
        assert!(!finished.stderr.contains('\x1b'), "{color} {no_color:?}\n{finished}");
    }
}
