//! What `shadowcap capture` writes is what was on the wire, as tcpdump and tshark see it.

use std::fs;
use std::process::Stdio;

use crate::lab::{Lab, captures_in, curl, inspect, tshark};
use crate::support::{Namespace, Process, Shadowcap, Skip, Tcpdump, Veth};

/// What tells one packet from all others.
const IDENTITY: [&str; 6] = ["ip.src", "ip.id", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.flags"];

#[test]
fn tcpdump_beside_it_sees_the_same_packets() {
    let lab = or_skip!(Lab::new());
    let folder = tempfile::TempDir::new().unwrap();
    let witness = folder.path().join("tcpdump.pcap");
    let tcpdump = or_skip!(Tcpdump::start_in(&lab.cable.b, Veth::INTERFACE, "tcp port 8000", &witness));
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp port 8000", "-w", "x.pcapng"]);
    lab.curls(4, 50);
    running.interrupt();
    let ours = running.folder().join("x.pcapng");
    let process = running.process.title().to_owned();
    let finished = running.wait();
    finished.exits(0).stderr_has("0 dropped by the kernel");
    let counts = tcpdump.stop();
    assert_eq!(counts.dropped, 0);
    let (mut ours, mut theirs) = (tshark(&ours, &IDENTITY), tshark(&witness, &IDENTITY));
    // Two sockets may get packets that two processors take at once in either order.
    ours.sort_unstable();
    theirs.sort_unstable();
    assert!(ours.len() > 4 * 50 * 2, "{process}: {} packets", ours.len());
    assert_eq!(ours, theirs);
}

#[test]
fn every_reader_reads_every_form_and_the_times_have_nanoseconds() {
    let lab = or_skip!(Lab::new());
    for name in ["plain.pcapng", "packed.pcapng.gz", "packed.pcapng.zst"] {
        let running = lab.start(&["capture", "-i", "veth0", "-w", name, "-f", "tcp"]);
        lab.curl("form", 20);
        running.terminate();
        let file = running.folder().join(name);
        let finished = running.wait();
        finished.exits(0);
        assert_eq!(inspect(std::slice::from_ref(&file))["exchanges"].as_array().unwrap().len(), 20, "{name}");
        let times = tshark(&file, &["frame.time_epoch"]);
        assert!(times.iter().any(|time| !time.ends_with("000")), "microseconds in {times:?}");
        if name == "plain.pcapng" {
            let mut tcpdump = crate::support::Namespace::command(&lab.cable.b, "tcpdump");
            let output = tcpdump.args(["-n", "-r"]).arg(&file).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), times.len());
        }
    }
}

#[test]
fn several_interfaces_and_all_of_them_at_once() {
    let lab = or_skip!(Lab::new());
    let on_loopback = format!("http://{}/loopback/[1-10]", lab.v1.address());
    for interfaces in [&["-i", "veth0", "-i", "lo"][..], &["-i", "any"]] {
        let running =
            lab.start(&[&["capture", "-w", "x.pcapng", "-f", "tcp port 8000"][..], interfaces].concat());
        lab.curl("cable", 10);
        curl(&lab.cable.b, &on_loopback);
        running.interrupt();
        let file = running.folder().join("x.pcapng");
        let finished = running.wait();
        finished.exits(0);
        let document = inspect(std::slice::from_ref(&file));
        let exchanges = document["exchanges"].as_array().unwrap();
        let from = |client: &str| {
            let of = exchanges.iter().filter(|one| one["client"].as_str().unwrap().starts_with(client));
            of.count()
        };
        assert_eq!((from("10.99.0.1:"), from("10.99.0.2:")), (10, 10), "{interfaces:?}");
        // Each interface has a ring of its own, whose blocks the kernel hands over at ticks of their own.
        let frames = tshark(&file, &["frame.interface_id", "frame.time_epoch"]);
        for interface in ["0\t", "1\t"] {
            let times = frames.iter().filter_map(|frame| frame.strip_prefix(interface));
            assert!(times.is_sorted(), "{interfaces:?}: {frames:#?}");
        }
    }
}

#[test]
fn as_many_packets_as_asked_for_and_no_more() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&["capture", "-i", "veth0", "-w", "x.pcapng", "-c", "7", "-f", "tcp"]);
    lab.curl("count", 5);
    let file = running.folder().join("x.pcapng");
    let finished = running.wait();
    finished.exits(0).stderr_has("7 packets written");
    assert_eq!(tshark(&file, &["frame.number"]).len(), 7);
    // Short as it was, the kernel was asked what it had counted.
    let statistics = statistics(&fs::read(&file).unwrap());
    assert!(statistics.received >= 7, "{statistics:?}");
    assert_eq!((statistics.dropped_by_interface, statistics.dropped), (0, 0));
}

#[test]
fn no_more_of_each_packet_than_asked_for() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&["capture", "-i", "veth0", "-w", "x.pcapng", "-s", "96", "-f", "tcp port 8000"]);
    lab.curl("snap", 5);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    let lengths = tshark(&finished.folder().join("x.pcapng"), &["frame.cap_len", "frame.len"]);
    let lengths = lengths.iter().filter_map(|line| line.split_once('\t'));
    let lengths: Vec<(u32, u32)> = lengths.map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).collect();
    assert!(lengths.iter().all(|&(kept, whole)| kept == whole.min(96)), "{lengths:?}");
    assert!(lengths.iter().any(|&(_, whole)| whole > 96), "{lengths:?}");
}

#[test]
fn the_interface_is_promiscuous_for_as_long_as_it_is_captured_on_unless_told_otherwise() {
    let lab = or_skip!(Lab::new());
    let promiscuity = || {
        let mut command = lab.cable.b.command("ip");
        let output = command.args(["-d", "link", "show", "veth0"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let after = text.split("promiscuity ").nth(1).unwrap_or_else(|| panic!("{text}"));
        after.split_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    for (further, promiscuous) in [(&[][..], 1), (&["-p"], 0)] {
        assert_eq!(promiscuity(), 0);
        let running = lab.start(&[&["capture", "-i", "veth0", "-w", "x.pcapng"][..], further].concat());
        assert_eq!(promiscuity(), promiscuous, "{further:?}");
        running.interrupt();
        running.wait().exits(0);
    }
    assert_eq!(promiscuity(), 0);
}

#[test]
fn a_file_follows_another_after_its_time_and_tells_what_was_counted_until_then() {
    let lab = or_skip!(Lab::new());
    let arguments = ["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng", "--rotate-every", "200ms"];
    let running = lab.start(&arguments);
    lab.curl("first", 20);
    crate::endings::wait_for_files(&running, 3);
    lab.curl("second", 20);
    running.interrupt();
    let finished = running.wait();
    finished.exits(0);
    let files = captures_in(finished.folder());
    assert_eq!(inspect(&files)["exchanges"].as_array().unwrap().len(), 40);
    let mut written = 0;
    for file in &files {
        written += u64::try_from(tshark(file, &["frame.number"]).len()).unwrap();
        let statistics = statistics(&fs::read(file).unwrap());
        assert!(statistics.received >= written, "{}: {statistics:?}, {written} written", file.display());
    }
}

#[test]
fn it_ends_by_itself_after_its_time() {
    let lab = or_skip!(Lab::new());
    let running =
        lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng", "--duration", "500ms"]);
    lab.curl("timed", 3);
    let finished = running.wait();
    finished.exits(0);
    assert!(captures_in(finished.folder()).len() == 1);
    inspect(&captures_in(finished.folder()));
}

#[test]
fn whoever_reads_the_pipe_may_go_at_any_time() {
    let lab = or_skip!(Lab::new());
    let program = env!("CARGO_BIN_EXE_shadowcap");
    let line = format!("set -o pipefail; {program} capture -i veth0 -f tcp -w - | head -c 100 | wc -c");
    let mut command = lab.cable.b.command("bash");
    command.args(["-c", &line]).stdin(Stdio::null());
    let mut process = Process::spawn(command, "TERM");
    process.wait_for_stderr("Capturing on ");
    lab.curl("unread", 5);
    let ended = process.wait(crate::support::PATIENCE);
    assert!(ended.is_some_and(|status| status.success()), "{}", process.describe());
    assert!(!process.stderr.text().contains("cannot write"), "{}", process.describe());
    process.wait_for_stderr("Whoever read the packets has ended");
}

#[test]
fn a_pipe_takes_packets_as_they_come() {
    let lab = or_skip!(Lab::new());
    let mut command = lab.cable.b.command("sh");
    let program = env!("CARGO_BIN_EXE_shadowcap");
    let line =
        format!("{program} capture -i veth0 -f tcp -w - --immediate | {program} inspect --format jsonl -");
    command.args(["-c", &line]).stdin(Stdio::null());
    let process = Process::spawn(command, "TERM");
    process.wait_for_stderr("Capturing on ");
    lab.curl("piped", 3);
    // They come while it goes on: nothing has ended yet.
    let seen = process.stdout.wait_for(|lines| (lines.len() >= 3).then(|| lines.to_vec()));
    let seen = seen.unwrap_or_else(|| panic!("{}", process.describe()));
    assert!(seen.iter().all(|line| line.contains("/piped/")), "{seen:?}");
}

#[test]
fn files_follow_one_another_and_a_ring_keeps_the_latest() {
    let lab = or_skip!(Lab::new());
    let running = lab.start(&[
        "capture",
        "-i",
        "veth0",
        "-f",
        "tcp",
        "-w",
        "ring/x.pcapng",
        "--rotate-size",
        "4KiB",
        "--keep",
        "3",
    ]);
    lab.curl("ring", 100);
    running.interrupt();
    let folder = running.folder().join("ring");
    let finished = running.wait();
    finished.exits(0);
    let files = captures_in(&folder);
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        assert!(fs::metadata(file).unwrap().len() <= 4096 + 200);
        assert!(!tshark(file, &["frame.number"]).is_empty());
    }
    let document = inspect(&files);
    let last = document["exchanges"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["target"], "/ring/100", "the ring has the latest");
}

#[test]
fn what_the_kernel_drops_is_told_and_stands_in_the_file() {
    let lab = or_skip!(Lab::new());
    // A buffer for hardly a packet, and the reader stopped: the kernel has to drop.
    let running = lab.start(&["capture", "-i", "veth0", "-f", "tcp", "-w", "x.pcapng", "-B", "64KiB"]);
    running.process.signal("STOP");
    lab.curls(4, 300);
    running.process.signal("CONT");
    running.interrupt();
    let file = running.folder().join("x.pcapng");
    let finished = running.wait();
    finished.exits(0);
    let told: u64 = finished
        .stderr
        .split("; ")
        .find_map(|part| part.strip_suffix(" by the interface.\n")?.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{finished}"));
    assert!(told > 0, "nothing was dropped: {finished}");
    let statistics = statistics(&fs::read(&file).unwrap());
    let written = u64::try_from(tshark(&file, &["frame.number"]).len()).unwrap();
    assert_eq!(statistics.dropped, told);
    assert!(statistics.received >= written + told, "{statistics:?}, {written} written");
}

#[derive(Debug, Default)]
struct Statistics {
    received: u64,
    dropped_by_interface: u64,
    dropped: u64,
}

/// The last interface statistics block of a little-endian file (draft-ietf-opsawg-pcapng-03, section 4.6).
fn statistics(file: &[u8]) -> Statistics {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (mut at, mut last) = (0, None);
    while at < file.len() {
        if word(at) == 5 {
            last = Some(at);
        }
        at += word(at + 4) as usize;
    }
    // isb_ifrecv, isb_ifdrop and isb_osdrop.
    let block = last.unwrap_or_else(|| panic!("no statistics"));
    let (mut at, mut found, mut codes) = (block + 20, Statistics::default(), Vec::new());
    while word(at) != 0 {
        let (code, length) = (word(at) & 0xffff, word(at) >> 16);
        let value = || u64::from_le_bytes(file[at + 4..at + 12].try_into().unwrap());
        codes.push(code);
        match code {
            4 => found.received = value(),
            5 => found.dropped_by_interface = value(),
            7 => found.dropped = value(),
            _ => {}
        }
        at += 4 + (length as usize).next_multiple_of(4);
    }
    assert!([4, 5, 7].iter().all(|code| codes.contains(code)), "{codes:?}");
    found
}

#[test]
fn the_interfaces_are_listed() {
    let namespace: Result<Namespace, Skip> = Namespace::new();
    let namespace = or_skip!(namespace);
    let finished = Shadowcap::new_in(&namespace, ["capture", "--list"]).run();
    finished.exits(0).stdout_has("lo ").stdout_has("127.0.0.1").stdout_has("any ");
}

#[test]
fn what_cannot_be_captured_on_is_told_with_what_to_do() {
    let namespace = or_skip!(Namespace::new());
    for (arguments, code, told) in [
        (&["-i", "nowhere"][..], 2, "nowhere: no such interface"),
        (&["-i", "lo", "-f", "tcp prt 80"], 2, "not a packet filter"),
        (&["-i", "lo", "-w", "/proc/x.pcapng"], 2, "-w `/proc/x.pcapng`"),
        (&["-i", "lo", "-w", "-", "--rotate-size", "1MB"], 2, "cannot be rotated"),
        (&["-i", "lo", "--keep", "3"], 2, "--rotate-size"),
    ] {
        let file: &[&str] = if arguments.contains(&"-w") { &[] } else { &["-w", "x.pcapng"] };
        let finished = Shadowcap::new_in(&namespace, [&["capture"][..], arguments, file].concat()).run();
        finished.exits(code).stderr_has(told);
    }
}
