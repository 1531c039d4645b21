//! What arrives is what was captured, with only the value of Host changed.

use tokio::sync::mpsc;

use crate::awkward_requests::awkward_requests;
use crate::support::{Sender, Server, answer};

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn awkward_requests_arrive_as_captured_with_only_the_host_changed() {
    let rows = awkward_requests();
    assert!(rows.len() >= 50, "{}", rows.len());
    let lengths: Vec<usize> = rows.iter().map(|row| row.expected.len()).collect();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let server = Server::start(move |number, mut peer| {
        let (length, arrived) = (lengths[number], arrived.clone());
        async move {
            // What came short shows when the client's time is over, what came beyond when it closes.
            let mut bytes = peer.take(length).await.unwrap_or_default();
            peer.say(NO_CONTENT).await;
            bytes.extend(peer.rest().await);
            arrived.send(bytes).unwrap();
        }
    })
    .await;
    for row in rows {
        let outcome = Sender::to(server.address).send(&row.captured).await;
        assert_eq!(answer(&outcome).0, 204, "{}", row.name);
        let bytes = arrivals.recv().await.unwrap();
        if bytes != row.expected {
            let at = bytes.iter().zip(&row.expected).position(|(a, b)| a != b).unwrap_or(row.expected.len());
            let near =
                |all: &[u8]| all.iter().skip(at.saturating_sub(20)).take(60).copied().collect::<Vec<_>>();
            panic!(
                "{}: from byte {at} on\narrived  {}\nexpected {}",
                row.name,
                near(&bytes).escape_ascii(),
                near(&row.expected).escape_ascii()
            );
        }
    }
}

#[tokio::test]
async fn requests_on_one_connection_arrive_one_after_the_other_unchanged() {
    let rows: Vec<_> = awkward_requests()
        .into_iter()
        .filter(|row| !row.expected.windows(8).any(|w| w == b"HTTP/1.0"))
        .collect();
    let lengths: Vec<usize> = rows.iter().map(|row| row.expected.len()).collect();
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let (lengths, arrived) = (lengths.clone(), arrived.clone());
        async move {
            for length in lengths {
                arrived.send(peer.take(length).await.unwrap_or_default()).unwrap();
                peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    let mut sender = Sender::to(server.address);
    for row in rows {
        let outcome = sender.send(&row.captured).await;
        // HEAD aside, which is not in the table, each answer has its body.
        assert_eq!(answer(&outcome).1, "ok", "{}", row.name);
        assert!(arrivals.recv().await.unwrap() == row.expected, "{}", row.name);
    }
    assert_eq!(server.accepted(), 1);
}
