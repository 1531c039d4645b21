//! The curl line of an exchange, run by real shells, sends what was sent.

use std::process::{Command, Stdio};

use crate::awkward_requests::awkward_requests;
use crate::made::{Talk, answer, capture};
use crate::support::{RawServer, Reply, Script, Shadowcap, require_tool};

/// The request line, the fields in no order but that of their names, and the body.
fn parts(request: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
    let end = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(request.len() - 4);
    let mut lines = request[..end].split(|&b| b == b'\n').map(|line| line.trim_ascii_end().to_vec());
    let first = lines.next().unwrap();
    let trimmed = |line: Vec<u8>| {
        let colon = line.iter().position(|&b| b == b':').unwrap_or(line.len());
        [&line[..colon], b":", line.get(colon + 1..).unwrap_or_default().trim_ascii()].concat()
    };
    let mut fields: Vec<_> = lines.map(trimmed).collect();
    fields.sort();
    (first, fields, request[end + 4..].to_vec())
}

#[test]
fn real_shells_send_with_the_line_what_was_sent() {
    or_skip!(require_tool("curl", "--version"));
    let answered = answer("HTTP/1.1 200 OK", b"ok");
    // As captured, and as it has to be sent.
    let mut requests: Vec<_> =
        awkward_requests().into_iter().map(|one| (one.captured, one.expected)).collect();
    let awkward = requests.len();
    let hostile = "it's $(touch pwned) `touch pwned` \"q\" ; touch pwned & | > x \\ ! * ~ #";
    for body in [hostile.as_bytes(), b"@/etc/passwd", b"\xff\x00\x01%s\\n", b"line\nline\n", b"##[group]"] {
        let to = |host: &str| {
            let head = format!(
                "POST /$(touch${{IFS}}pwned)'%27{{a,b}}[1-3] HTTP/1.1\r\nHost: {host}\r\nX-Pay: {hostile}\r\n\
                 X-Empty:\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            [head.as_bytes(), body].concat()
        };
        requests.push((to("h"), to("h-shadow")));
    }
    let talks: Vec<_> = requests
        .iter()
        .map(|(request, _)| Talk { request: request.clone(), v1: answered.clone(), v2: vec![] })
        .collect();
    let server = RawServer::start(Script::new(move |_| Reply::AnswerThenClose(answered.clone())));
    let program =
        Shadowcap::new(["replay", "made.pcap", "--out", "run", "--no-redact", "--to", &server.url()]);
    std::fs::write(program.folder().join("made.pcap"), capture(&talks)).unwrap();
    let run = program.arg("--timeout").arg("2s").run();
    let folder = run.folder().join("run").display().to_string();
    let mut csv = csv::Reader::from_path(run.folder().join("run/exchanges.csv")).unwrap();
    let (mut proven, mut refused, mut otherwise) = (0, 0, 0);
    for record in csv.records().map(Result::unwrap) {
        let (id, client) = (&record[0], &record[4]);
        let number: usize = client.rsplit(':').next().unwrap().parse::<usize>().unwrap() - 30_000;
        let shown = Shadowcap::new(["report", &folder, "--show", id]).run();
        let Some((_, line)) = shown.stdout.split_once("again, by hand\n") else {
            refused += 1;
            continue;
        };
        let sent = server.requests().into_iter().find(|sent| sent.bytes == requests[number].1);
        let Some(sent) = sent else { continue };
        let shell = if proven % 2 == 0 { "sh" } else { "bash" };
        let before = server.requests().len();
        // A line that hangs fails, rather than the test with it.
        let mut command = Command::new("timeout");
        command.args(["20", shell, "-c", line]).current_dir(run.folder());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{shell}: {line}\n{output:?}");
        let again = server.wait_for_requests(before + 1).pop().unwrap();
        let ((line1, fields1, body1), (line2, fields2, body2)) = (parts(&sent.bytes), parts(&again.bytes));
        let said = || format!("{}\nwas sent as\n{}", sent.bytes.escape_ascii(), again.bytes.escape_ascii());
        assert_eq!(line1.escape_ascii().to_string(), line2.escape_ascii().to_string(), "{line}\n{}", said());
        if !fields1.iter().any(|field| field.to_ascii_lowercase().starts_with(b"transfer-encoding")) {
            assert_eq!(body1, body2, "{line}\n{}", said());
        }
        if missing(&fields1, &fields2).is_empty() && missing(&fields2, &fields1).is_empty() {
            proven += 1;
            continue;
        }
        // What curl writes in its own way, such as the zeros of a length, is told; nothing of it is hostile.
        assert!(number < awkward, "{line}\n{}", said());
        println!("otherwise: {line}\n{}", said());
        otherwise += 1;
    }
    assert!(!run.folder().join("pwned").exists(), "a shell ran what the wire sent");
    println!("{proven} lines sent what was sent, {refused} exchanges have no line");
    assert!(otherwise <= 3, "{otherwise} lines send other fields");
    assert!(proven >= 40, "{proven} proven, {refused} without a line");
}

/// Fields of one that the other lacks, save what cannot be told to curl: names that are no tokens, and lines
/// that are no fields.
fn missing(of: &[Vec<u8>], from: &[Vec<u8>]) -> Vec<String> {
    let is_field = |line: &&Vec<u8>| {
        let name = line.split(|&b| b == b':').next().unwrap_or_default();
        !name.is_empty() && name.iter().all(|b| b.is_ascii_graphic() && !b"\"(),/;<=>?@[\\]{}".contains(b))
    };
    let lacks = |line: &&Vec<u8>| !from.iter().any(|other| other.eq_ignore_ascii_case(line));
    of.iter().filter(is_field).filter(lacks).map(|line| line.escape_ascii().to_string()).collect()
}
