//! Captured connections side by side: order, concurrency, pace, bounds, and stopping.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shadowcap::replay::client::Client;
use shadowcap::replay::clock::Clock;
use shadowcap::replay::engine::{Done, Job, Settings, Slot, Unwatched, Work, run, run_here};
use shadowcap::replay::stop::{StopHandle, stop_channel};
use shadowcap::replay::supply::Supply;
use shadowcap::replay::{Outcome, SkipReason, Speed};
use shadowcap::stream::Closing;
use shadowcap::time::Timestamp;
use tokio::sync::{Barrier, Notify, mpsc};

use crate::support::{LIMITS, Log, Peer, Server, answer, connection, shadow};

/// A replay that a test hands work to.
struct Replay {
    work: mpsc::Sender<Work<String>>,
    done: Outcomes,
    stop: StopHandle,
}

/// What became of the work, one outcome after the other.
struct Outcomes {
    batches: mpsc::Receiver<Vec<Done<String>>>,
    taken: VecDeque<Done<String>>,
}

impl Outcomes {
    async fn recv(&mut self) -> Option<Done<String>> {
        if self.taken.is_empty() {
            self.taken = self.batches.recv().await?.into();
        }
        self.taken.pop_front()
    }
}

impl Replay {
    fn start(server: &Server, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(vec![Client::new(server.address, LIMITS, Clock::start())]);
        set(&mut settings);
        let (work, receiver) = mpsc::channel(1);
        let (sender, done) = mpsc::channel(1);
        let (stop, signal) = stop_channel();
        tokio::spawn(run(settings, receiver, sender, signal));
        Self { work, done: Outcomes { batches: done, taken: VecDeque::new() }, stop }
    }

    async fn hand_in(&self, port: u16, name: &str, at: Duration) {
        self.work.send(job(port, name, at)).await.unwrap();
    }

    /// Hands in the work while it takes the outcomes, until the last one.
    async fn through(self, jobs: Vec<Work<String>>) -> Vec<Done<String>> {
        let Self { work, mut done, stop: _stop } = self;
        tokio::spawn(async move {
            for job in jobs {
                work.send(job).await.unwrap();
            }
        });
        let mut all = Vec::new();
        while let Some(mut one) = done.recv().await {
            one.slot = Slot::default();
            all.push(one);
        }
        all
    }
}

fn job(port: u16, name: &str, at: Duration) -> Work<String> {
    let mut request = shadow(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    request.captured = Timestamp::from_nanos(1_000_000_000) + at;
    let payload = name.to_owned();
    Work::Send(Box::new(Job { connection: connection(port), destination: 0, request, weight: 0, payload }))
}

/// The name in a request's target.
fn name_of(head: &[u8]) -> String {
    String::from_utf8_lossy(head).split(' ').nth(1).unwrap()[1..].to_owned()
}

async fn ok(peer: &mut Peer) {
    peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
}

/// A server that notes each request with the number of its connection, and answers at once.
async fn noting() -> (Server, Log<(usize, String)>) {
    let log = Log::default();
    let seen = log.clone();
    let server = Server::start(move |number, mut peer: Peer| {
        let log = log.clone();
        async move {
            while let Some(head) = peer.head().await {
                log.note((number, name_of(&head)));
                ok(&mut peer).await;
            }
        }
    })
    .await;
    (server, seen)
}

/// A server that tells of each request, and answers one each time that it is notified.
async fn answering_one_by_one() -> (Server, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (arrived, arrivals) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let server = Server::start(move |_, mut peer: Peer| {
        let (arrived, gate) = (arrived.clone(), Arc::clone(&opened));
        async move {
            while peer.head().await.is_some() {
                arrived.send(()).unwrap();
                gate.notified().await;
                ok(&mut peer).await;
            }
        }
    })
    .await;
    (server, arrivals, gate)
}

/// The answer and the close come in one segment, so that whoever has read the one could know of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_closes_with_each_answer_and_says_nothing_of_it_loses_no_request() {
    let server = Server::start(|_, mut peer: Peer| async move {
        if peer.head().await.is_some() {
            rustix::net::sockopt::set_tcp_cork(&peer.stream, true).unwrap();
            ok(&mut peer).await;
        }
    })
    .await;
    let replay = Replay::start(&server, |settings| settings.concurrency = 16);
    let jobs = (0..320_u16).map(|n| job(n % 16, &n.to_string(), Duration::ZERO)).collect();
    let done = replay.through(jobs).await;
    assert_eq!((done.len(), server.accepted()), (320, 320));
    assert!(done.iter().all(|done| answer(&done.outcome).0 == 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_captured_connection_has_its_own_connection_and_keeps_its_order() {
    let (server, seen) = noting().await;
    let replay = Replay::start(&server, |settings| settings.concurrency = 5);
    let jobs = (0..400_u16).map(|n| job(n % 16, &format!("{}-{}", n % 16, n / 16), Duration::ZERO)).collect();
    let done = replay.through(jobs).await;
    assert_eq!(done.len(), 400);
    assert!(done.iter().all(|done| answer(&done.outcome).0 == 200));
    assert_eq!(server.accepted(), 16);
    let mut served: HashMap<usize, Vec<String>> = HashMap::new();
    seen.take().into_iter().for_each(|(number, name)| served.entry(number).or_default().push(name));
    for names in served.values() {
        let lane = names[0].split('-').next().unwrap();
        let expected: Vec<_> = (0..25).map(|n| format!("{lane}-{n}")).collect();
        assert_eq!(*names, expected);
    }
    for lane in 0..16 {
        let of_lane = |done: &&Done<String>| done.job.payload.starts_with(&format!("{lane}-"));
        let outcomes: Vec<_> = done.iter().filter(of_lane).map(|done| done.job.payload.clone()).collect();
        assert_eq!(outcomes, (0..25).map(|n| format!("{lane}-{n}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn concurrency_is_reached_and_never_exceeded() {
    let barrier = Arc::new(Barrier::new(4));
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let observed = Arc::clone(&most);
    let server = Server::start(move |_, mut peer: Peer| {
        let (barrier, now, most) = (barrier.clone(), now.clone(), most.clone());
        async move {
            while peer.head().await.is_some() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                now.fetch_sub(1, Ordering::SeqCst);
                ok(&mut peer).await;
            }
        }
    })
    .await;
    let replay = Replay::start(&server, |settings| settings.concurrency = 4);
    let done = replay.through((0..32).map(|n| job(n % 8, "x", Duration::ZERO)).collect()).await;
    assert!(done.iter().all(|done| answer(&done.outcome).0 == 200));
    assert_eq!(observed.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_slow_answer_delays_its_own_connection_alone() {
    let others_done = Arc::new(Notify::new());
    let gate = Arc::clone(&others_done);
    let server = Server::start(move |_, mut peer: Peer| {
        let gate = gate.clone();
        async move {
            while let Some(head) = peer.head().await {
                if name_of(&head) == "slow" {
                    gate.notified().await;
                }
                ok(&mut peer).await;
            }
        }
    })
    .await;
    let mut replay = Replay::start(&server, |settings| settings.concurrency = 2);
    replay.hand_in(1, "slow", Duration::ZERO).await;
    replay.hand_in(1, "after", Duration::ZERO).await;
    for n in 0..50 {
        replay.hand_in(2 + n % 5, "quick", Duration::ZERO).await;
        assert_eq!(replay.done.recv().await.unwrap().job.payload, "quick");
    }
    others_done.notify_one();
    assert_eq!(replay.done.recv().await.unwrap().job.payload, "slow");
    assert_eq!(replay.done.recv().await.unwrap().job.payload, "after");
}

#[tokio::test]
async fn beside_those_that_hang_others_go_on_as_long_as_a_place_is_left() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let gate = Arc::new(Notify::new());
    let held = Arc::clone(&gate);
    let server = Server::start(move |_, mut peer: Peer| {
        let (arrived, held) = (arrived.clone(), held.clone());
        async move {
            while let Some(head) = peer.head().await {
                let name = name_of(&head);
                let hangs = name == "hangs";
                arrived.send(name).unwrap();
                if hangs {
                    held.notified().await;
                }
                ok(&mut peer).await;
            }
        }
    })
    .await;
    let mut replay = Replay::start(&server, |settings| settings.concurrency = 4);
    for port in 1..=3 {
        replay.hand_in(port, "hangs", Duration::ZERO).await;
        assert_eq!(arrivals.recv().await.unwrap(), "hangs");
    }
    for n in 0..50 {
        replay.hand_in(4 + n % 5, "quick", Duration::ZERO).await;
        assert_eq!(arrivals.recv().await.unwrap(), "quick");
        assert_eq!(replay.done.recv().await.unwrap().job.payload, "quick");
    }
    replay.hand_in(9, "hangs", Duration::ZERO).await;
    assert_eq!(arrivals.recv().await.unwrap(), "hangs");
    replay.hand_in(4, "waits", Duration::ZERO).await;
    let timeout = tokio::time::timeout(Duration::from_millis(100), arrivals.recv());
    assert!(timeout.await.is_err(), "all places are taken");
    gate.notify_one();
    let freed = replay.done.recv().await.unwrap();
    assert_eq!(freed.job.payload, "hangs");
    drop(freed);
    assert_eq!(arrivals.recv().await.unwrap(), "waits");
}

#[tokio::test]
async fn a_small_budget_slows_the_reading_and_never_stops_it() {
    let (server, _) = noting().await;
    // Room for one job alone: each waits until the outcome before it is taken.
    let replay = Replay::start(&server, |settings| (settings.budget, settings.concurrency) = (100, 8));
    let jobs = (0..100_u16).map(|n| job(if n < 50 { 1 } else { n }, "x", Duration::ZERO)).collect();
    assert_eq!(replay.through(jobs).await.len(), 100);
}

#[tokio::test]
async fn no_more_waits_than_the_budget_allows() {
    let server = Server::start(|_, mut peer: Peer| async move { drop(peer.rest().await) }).await;
    let replay = Replay::start(&server, |settings| settings.budget = 16 * 1100);
    let mut taken = 0;
    let hand_in = async {
        for n in 0..1000_u16 {
            replay.hand_in(n, "x", Duration::ZERO).await;
            taken += 1;
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(300), hand_in).await.is_err());
    // Sixteen or so wait, one is held by the dispatcher and one by the channel.
    assert!((14..=20).contains(&taken), "{taken}");
}

/// Requests, each of a captured connection of its own, that the thread which sends has to read itself.
struct ReadHere {
    left: std::ops::Range<u16>,
    read: Arc<AtomicUsize>,
}

impl Supply<String> for ReadHere {
    const PARTS: u32 = 1024;
    const IS_READ_HERE: bool = true;

    async fn next(&mut self, batch: &mut Vec<Work<String>>) -> bool {
        tokio::task::yield_now().await;
        let next = self.left.next().map(|port| job(port, "a", Duration::ZERO));
        self.read.fetch_add(usize::from(next.is_some()), Ordering::SeqCst);
        batch.extend(next);
        !batch.is_empty()
    }
}

#[tokio::test]
async fn nothing_more_is_read_here_while_a_request_waits_for_a_place() {
    let (read, places) = (Arc::new(AtomicUsize::new(0)), 2);
    let (seen, mut answered) = (Arc::clone(&read), 0);
    let (server, mut arrivals, gate) = answering_one_by_one().await;
    let mut settings = Settings::new(vec![Client::new(server.address, LIMITS, Clock::start())]);
    settings.concurrency = places;
    let (sender, mut done) = mpsc::channel(1);
    let (_stop, signal) = stop_channel();
    let mut supply = ReadHere { left: 1..9, read };
    let run = run_here(settings, &mut supply, sender, signal, Arc::new(Unwatched));
    let watched = async {
        for sent in 1.. {
            if arrivals.recv().await.is_none() || sent == 8 {
                break;
            }
            // The one that waits, and none behind it.
            assert!(seen.load(Ordering::SeqCst) <= sent + places, "{sent} sent");
            if sent >= places {
                gate.notify_one();
            }
        }
        gate.notify_one();
        gate.notify_one();
        std::future::pending::<()>().await;
    };
    let taken = async {
        while let Some(batch) = done.recv().await {
            answered += batch.iter().filter(|done| matches!(done.outcome, Outcome::Answered { .. })).count();
        }
    };
    tokio::select! {
        ((), _) = async { tokio::join!(taken, run) } => {}
        () = watched => {}
    }
    assert_eq!((answered, seen.load(Ordering::SeqCst)), (8, 8));
}

#[tokio::test]
async fn due_times_are_those_of_the_capture_and_nothing_leaves_early() {
    let (server, _) = noting().await;
    for (speed, divisor) in [("1", 1), ("2", 2)] {
        let replay = Replay::start(&server, |settings| settings.speed = speed.parse::<Speed>().unwrap());
        let captured = [0, 40, 41, 95].map(Duration::from_millis);
        let jobs = captured.iter().enumerate();
        let jobs = jobs.map(|(n, at)| job(u16::try_from(n).unwrap() % 2, &n.to_string(), *at)).collect();
        let mut done = replay.through(jobs).await;
        done.sort_by(|a, b| a.job.payload.cmp(&b.job.payload));
        let timings: Vec<_> = done
            .iter()
            .map(|done| match &done.outcome {
                Outcome::Answered { timing, .. } => *timing,
                other => panic!("{other:?}"),
            })
            .collect();
        for (timing, at) in timings.iter().zip(captured) {
            assert_eq!(timing.due.since(timings[0].due), at / divisor);
            assert!(timing.sent.unwrap() >= timing.due, "{timing:?}");
            assert!(timing.first_byte >= timing.sent && timing.last_byte >= timing.first_byte, "{timing:?}");
        }
    }
}

#[tokio::test]
async fn a_rate_caps_the_sending() {
    let (server, _) = noting().await;
    let replay = Replay::start(&server, |settings| settings.rate = Some("200".parse().unwrap()));
    let done = replay.through((0..21).map(|n| job(n, "x", Duration::ZERO)).collect()).await;
    let mut sent: Vec<_> = done
        .iter()
        .map(|done| match &done.outcome {
            Outcome::Answered { timing, .. } => timing.sent.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    sent.sort_unstable();
    assert!(sent[20].since(sent[0]) >= Duration::from_millis(95), "{:?}", sent[20].since(sent[0]));
}

#[tokio::test]
async fn the_connection_is_closed_when_the_captured_one_has_ended() {
    let (closed, mut closings) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer: Peer| {
        let closed = closed.clone();
        async move {
            let mut last = String::new();
            while let Some(head) = peer.head().await {
                last = name_of(&head);
                ok(&mut peer).await;
            }
            closed.send(last).unwrap();
        }
    })
    .await;
    let mut replay = Replay::start(&server, |_| {});
    replay.hand_in(1, "stays", Duration::ZERO).await;
    replay.done.recv().await.unwrap();
    replay.hand_in(2, "ends", Duration::ZERO).await;
    replay.work.send(Work::ConnectionEnded(connection(2), None)).await.unwrap();
    replay.done.recv().await.unwrap();
    assert_eq!(closings.recv().await.unwrap(), "ends");
    assert!(closings.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_speed_a_connection_ends_when_the_captured_one_did_and_as_it_did() {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer: Peer| {
        let ended = ended.clone();
        async move {
            let head = peer.head().await.unwrap();
            ok(&mut peer).await;
            // A reset is an error, a close is an end.
            let reset = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0]).await.is_err();
            ended.send((name_of(&head), reset, std::time::Instant::now())).unwrap();
        }
    })
    .await;
    let closing = |millis, reset_by_client| {
        let at = Timestamp::from_nanos(1_000_000_000) + Duration::from_millis(millis);
        Some(Closing { at, reset_by_client })
    };
    let began = std::time::Instant::now();
    let replay = Replay::start(&server, |settings| settings.speed = "1".parse().unwrap());
    let jobs = vec![
        job(1, "closes", Duration::ZERO),
        Work::ConnectionEnded(connection(1), closing(400, false)),
        job(2, "resets", Duration::ZERO),
        Work::ConnectionEnded(connection(2), closing(500, true)),
        // Past when it is read: as soon as the answer is there.
        job(3, "has", Duration::from_millis(100)),
        Work::ConnectionEnded(connection(3), closing(0, false)),
        job(4, "goes", Duration::from_millis(900)),
    ];
    assert_eq!(replay.through(jobs).await.len(), 4);
    let mut seen = HashMap::new();
    while seen.len() < 4 {
        let (name, reset, at) = ends.recv().await.unwrap();
        seen.insert(name, (reset, at.saturating_duration_since(began)));
    }
    let reset = |name: &str| seen[name].0;
    assert_eq!((reset("closes"), reset("resets"), reset("goes")), (false, true, false), "{seen:?}");
    assert!(seen["closes"].1 >= Duration::from_millis(400), "{seen:?}");
    assert!(seen["resets"].1 >= Duration::from_millis(500), "{seen:?}");
    assert!(seen["closes"].1 < seen["goes"].1 && seen["has"].1 < seen["goes"].1, "{seen:?}");
}

#[tokio::test]
async fn beyond_the_limit_the_connection_idle_longest_is_given_up() {
    let (server, seen) = noting().await;
    let mut replay = Replay::start(&server, |settings| settings.max_parked = 1);
    for (port, name) in [(1, "a"), (1, "b"), (2, "c"), (1, "d"), (1, "e")] {
        replay.hand_in(port, name, Duration::ZERO).await;
        replay.done.recv().await.unwrap();
    }
    let numbers: Vec<_> = seen.take().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [0, 0, 1, 2, 2]);
}

/// As in a capture of many short connections, which is read far ahead of what is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_many_captured_connections_is_made_once_though_few_may_be_kept_between_requests() {
    let (server, _) = noting().await;
    let replay = Replay::start(&server, |settings| (settings.concurrency, settings.max_parked) = (8, 8));
    let name = |n: u16| format!("{}-{}", n / 5, n % 5);
    let jobs = (0..1000_u16).map(|n| job(n / 5, &name(n), Duration::ZERO)).collect();
    let done = replay.through(jobs).await;
    assert!(done.iter().all(|done| answer(&done.outcome).0 == 200));
    assert_eq!((done.len(), server.accepted()), (1000, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pooled_connections_are_few_and_requests_of_a_captured_one_keep_their_order() {
    let (server, seen) = noting().await;
    let replay = Replay::start(&server, |settings| settings.connections = "pooled:3".parse().unwrap());
    let jobs =
        (0..300_u16).map(|n| job(n % 20, &format!("{}-{:02}", n % 20, n / 20), Duration::ZERO)).collect();
    let done = replay.through(jobs).await;
    assert!(done.iter().all(|done| answer(&done.outcome).0 == 200));
    assert!(server.accepted() <= 3, "{}", server.accepted());
    let served: Vec<String> = seen.take().into_iter().map(|(_, name)| name).collect();
    for lane in 0..20 {
        let of_lane = |name: &&String| name.starts_with(&format!("{lane}-"));
        let names: Vec<_> = served.iter().filter(of_lane).cloned().collect();
        assert_eq!(names, (0..15).map(|n| format!("{lane}-{n:02}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_is_on_its_way_and_names_the_rest() {
    let (server, mut arrivals, open) = answering_one_by_one().await;
    let mut replay = Replay::start(&server, |settings| settings.concurrency = 2);
    for (port, name) in [(1, "a"), (1, "b"), (2, "c"), (3, "d")] {
        replay.hand_in(port, name, Duration::ZERO).await;
    }
    arrivals.recv().await.unwrap();
    arrivals.recv().await.unwrap();
    replay.stop.raise();
    replay.hand_in(4, "e", Duration::ZERO).await;
    open.notify_one();
    open.notify_one();
    let mut outcomes = HashMap::new();
    for _ in 0..5 {
        let done = replay.done.recv().await.unwrap();
        let interrupted = matches!(done.outcome, Outcome::Skipped(SkipReason::Interrupted));
        outcomes.insert(done.job.payload, interrupted);
    }
    let expected = [("a", false), ("b", true), ("c", false), ("d", true), ("e", true)];
    assert_eq!(outcomes, expected.map(|(name, skipped)| (name.to_owned(), skipped)).into());
    drop(replay.work);
    assert!(replay.done.recv().await.is_none());
}
