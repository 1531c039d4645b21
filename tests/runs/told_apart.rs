use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use shadowcap::capture::PcapWriter;
use shadowcap::capture::synth::Conversation;
use shadowcap::packet::LinkType;

use crate::made::NOON;
use crate::support::{RawServer, Reply, Script};
use crate::{ends, replay, summary, target};

/// So often is something sold, and then asked how many are left.
const SALES: u64 = 24;

/// How many are left, and a token that is another in each answer, of whichever service.
fn answer(left: u64) -> Vec<u8> {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let token = Sha256::digest(TOKENS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let token = u128::from_be_bytes(token[..16].try_into().unwrap());
    let body = format!("{{\"left\":{left},\"token\":\"{token:032x}\"}}");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body.into_bytes()].concat()
}

/// A shop that began with so many, captured.
fn capture(first: u64) -> Vec<u8> {
    let server: SocketAddr = "192.0.2.80:80".parse().unwrap();
    let mut talk = Conversation::new(([192, 0, 2, 1], 40_000).into(), server, NOON);
    talk.open();
    for sold in 1..=SALES {
        talk.client_sends(b"POST /sales HTTP/1.1\r\nHost: shop:8000\r\nContent-Length: 0\r\n\r\n");
        talk.server_sends(b"HTTP/1.1 204 No Content\r\n\r\n");
        talk.wait(Duration::from_millis(5));
        talk.client_sends(b"GET /stock HTTP/1.1\r\nHost: shop:8000\r\n\r\n");
        talk.server_sends(&answer(first - sold));
        talk.wait(Duration::from_millis(5));
    }
    talk.close();
    let mut writer = PcapWriter::new(Vec::new(), LinkType::ETHERNET).unwrap();
    for (number, frame) in (1..).zip(&talk.take_frames()) {
        writer.write(&frame.packet(number)).unwrap();
    }
    writer.finish().unwrap()
}

/// A shop that has so many, and sells them.
fn shop(first: u64) -> RawServer {
    let left = AtomicU64::new(first);
    RawServer::start(Script::new(move |received| {
        Reply::Answer(if target(&received.bytes) == "/sales" {
            left.fetch_sub(1, Ordering::Relaxed);
            b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
        } else {
            answer(left.load(Ordering::Relaxed))
        })
    }))
}

/// What class the difference at a place has.
fn class<'s>(summary: &'s Value, path: &str) -> &'s str {
    let all = summary["differences"].as_array().unwrap();
    let one = all.iter().find(|difference| difference["path"] == path);
    one.unwrap_or_else(|| panic!("{summary:#}"))["class"].as_str().unwrap()
}

/// What the page tells beside a difference, if it has the words of the step.
const STEP: &str = " asks both now, and tells them apart";

#[test]
fn the_step_that_the_page_names_for_what_is_volatile_tells_a_wrong_state_from_noise() {
    let capture = capture(100);
    // v2 counts, and from a number that is wrong. As long as nobody asks v1 again that looks as the token does.
    let v2 = shop(5000);
    let first = replay(&v2.url(), &capture, &[]).run();
    ends(&first, 0);
    let told = summary(first.folder());
    assert_eq!((class(&told, "$['left']"), class(&told, "$['token']")), ("volatile", "volatile"), "{told:#}");
    let page = first.file("run/report.html");
    assert_eq!(page.matches(STEP).count(), 2, "once beside each");
    let words = page.split(STEP).next().unwrap();
    let step = words.rsplit('`').nth(1).unwrap();

    // What it says is done, with the shop as it is by now: v1 has sold what was captured, and v2 begins anew.
    let (v1, v2) = (shop(100 - SALES), shop(5000));
    let url = v1.url();
    let step: Vec<_> = step.split(' ').map(|word| if word == "URL" { &url } else { word }).collect();
    let second = replay(&v2.url(), &capture, &step).run();
    ends(&second, 1);
    let told = summary(second.folder());
    assert_eq!(
        (class(&told, "$['left']"), class(&told, "$['token']")),
        ("confirmed", "volatile"),
        "{told:#}"
    );
    assert!(!second.file("run/report.html").contains(STEP));
}
