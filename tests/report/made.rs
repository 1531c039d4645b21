//! Captures made to order, and runs of them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;
use shadowcap::time::Timestamp;

use crate::support::{Finished, RawServer, Reply, Script, Shadowcap};

/// A request, what v1 answered, and what v2 is going to answer.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) request: Vec<u8>,
    pub(crate) v1: Vec<u8>,
    pub(crate) v2: Vec<u8>,
}

/// A capture in which each talk has a connection of its own.
pub(crate) fn capture(talks: &[Talk]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    let mut number = 0;
    for (n, talk) in (0_u16..).zip(talks) {
        let client = SocketAddr::from(([192, 0, 2, 1], 30_000 + n));
        let start = Timestamp::from_parts(1_795_348_800, 0) + Duration::from_millis(u64::from(n) * 20);
        let mut conversation = Conversation::new(client, "192.0.2.80:80".parse().unwrap(), start);
        conversation.open();
        conversation.client_sends(&talk.request);
        conversation.server_sends(&talk.v1);
        conversation.close();
        for frame in conversation.take_frames() {
            number += 1;
            writer.write(&frame.packet(number)).unwrap();
        }
    }
    writer.finish().unwrap()
}

/// A v2 that answers a request, which it knows by its number in an `X-Case` field, as the talk says.
pub(crate) fn v2(talks: &[Talk]) -> RawServer {
    let answers: Vec<_> = talks.iter().map(|talk| talk.v2.clone()).collect();
    RawServer::start(Script::new(move |request| {
        let text = String::from_utf8_lossy(&request.bytes).into_owned();
        let number =
            text.split("X-Case: ").nth(1).and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
        Reply::AnswerThenClose(answers[number.unwrap()].clone())
    }))
}

/// The talks captured and replayed into the folder `run` of the program's working folder, `run/capture` not
/// being among its files.
pub(crate) fn replayed(talks: &[Talk], more: &[&str]) -> Finished {
    let server = v2(talks);
    let program = Shadowcap::new(["replay", "made.pcap", "--out", "run", "--to", &server.url()]);
    std::fs::write(program.folder().join("made.pcap"), capture(talks)).unwrap();
    more.iter().fold(program, Shadowcap::arg).run()
}

/// A whole answer with this body.
pub(crate) fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// The demo's run in `folder`: a real replay, of which every kind of difference is known.
pub(crate) fn demo(folder: &Path) -> Finished {
    let run = folder.join("run").display().to_string();
    let finished = Shadowcap::new(["demo", "--out", &run]).run();
    finished.exits(0);
    finished
}
