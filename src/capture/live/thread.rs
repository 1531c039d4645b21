//! The thread that empties the kernel's rings.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::batch::Batch;
use super::device::{Device, Next};
use super::{Account, Delivery, LiveOptions, OnLoss, Opened, Stopper};
use crate::time::Timestamp;

/// Batches that may wait for the consumer: 16 MiB, and what a second brings on a busy machine.
const WAITING: usize = 64;
/// How long the thread sleeps where nothing comes, and so how soon it stops.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);
/// How often the kernel's counts are read.
const COUNTING: Duration = Duration::from_millis(200);
/// How often an interface that is gone is looked for.
const REOPENING: Duration = Duration::from_millis(100);
/// Packets taken from one interface before another has its turn.
const TURN: usize = 64;

type Started = ((JoinHandle<()>, Arc<Account>), Receiver<Batch>, SyncSender<Batch>);

pub(super) fn start(opened: Opened, stopper: Stopper) -> io::Result<Started> {
    let (to_consumer, batches) = sync_channel(WAITING);
    let (to_thread, returned) = sync_channel(WAITING);
    let account = Arc::clone(&opened.account);
    let collector = Collector {
        lines: opened.devices.into_iter().map(|device| Line { device, state: State::Open }).collect(),
        options: opened.options,
        account: opened.account,
        stopper,
        to_consumer,
        returned,
    };
    let handle = thread::Builder::new().name("capture".to_owned()).spawn(move || collector.run())?;
    Ok(((handle, account), batches, to_thread))
}

/// An interface as the thread sees it.
struct Line {
    device: Device,
    state: State,
}

enum State {
    /// Packets come from it.
    Open,
    /// It went down or away; until then the kernel may hand over what came before.
    Leaving(String, Instant),
    /// Nothing comes from it; when it was looked for last.
    Gone(Instant),
}

impl Line {
    fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone(_))
    }
}

struct Collector {
    lines: Vec<Line>,
    options: LiveOptions,
    account: Arc<Account>,
    stopper: Stopper,
    to_consumer: SyncSender<Batch>,
    returned: Receiver<Batch>,
}

impl Collector {
    fn run(mut self) {
        let mut counted = Instant::now();
        // When it was told to stop: packets up to then still count, and the kernel may hold some.
        let mut stopped: Option<(Timestamp, Instant)> = None;
        loop {
            if stopped.is_none() && self.stopper.is_stopped() {
                stopped = Some((now(), Instant::now() + self.grace()));
            }
            let mut batch = self.returned.try_recv().unwrap_or_default();
            batch.clear();
            let more = self.collect(&mut batch, stopped.map(|(at, _)| at));
            if batch.len() > 0 {
                // Whoever writes these packets may end a file with them.
                self.tell_counts();
                if !self.hand_on(batch) {
                    break;
                }
            }
            if counted.elapsed() >= COUNTING {
                self.count();
                counted = Instant::now();
            }
            let over = stopped.is_some_and(|(_, deadline)| !more && Instant::now() >= deadline);
            if over || !self.keep_up() {
                break;
            }
            if !more {
                self.sleep();
            }
        }
        self.count();
    }

    /// How long after an end a packet that came before it may still come.
    fn grace(&self) -> Duration {
        match self.options.delivery {
            // Blocks are handed over at the kernel's ticks, which may lie a little apart.
            Delivery::Blocks(wait) => wait * 2 + Duration::from_millis(20),
            Delivery::Immediate => Duration::from_millis(20),
        }
    }

    /// Takes what is there, in turns; whether there may be more.
    fn collect(&mut self, batch: &mut Batch, until: Option<Timestamp>) -> bool {
        let (mut more, grace) = (false, self.grace());
        for line in self.lines.iter_mut().filter(|line| !line.is_gone()) {
            for taken in 1..=TURN {
                let next = line.device.next(|packet| {
                    if until.is_none_or(|until| packet.at <= until) {
                        batch.push(packet);
                    }
                });
                match next {
                    Next::Taken if taken == TURN => more = true,
                    Next::Taken => {}
                    Next::Nothing => break,
                    Next::Gone(why) => {
                        if line.is_open() {
                            line.state = State::Leaving(why, Instant::now() + grace);
                        }
                        break;
                    }
                }
                if batch.is_full() {
                    more = true;
                    break;
                }
            }
        }
        batch.sort();
        more
    }

    /// Waits for room behind a slow consumer; whether there is one.
    fn hand_on(&self, batch: Batch) -> bool {
        self.to_consumer.send(batch).is_ok()
    }

    fn tell_counts(&self) {
        for line in self.lines.iter().filter(|line| !line.is_gone()) {
            let counts = line.device.counts_so_far();
            self.account.set(line.device.number, |account| account.counts = counts);
        }
    }

    fn count(&mut self) {
        let grace = self.grace();
        for line in self.lines.iter_mut().filter(|line| !line.is_gone()) {
            let counts = line.device.counts();
            self.account.set(line.device.number, |account| account.counts = counts);
            // libpcap waits in silence for an interface that is down.
            if line.is_open() && line.device.is_down() {
                let why = "the interface is down".to_owned();
                line.state = State::Leaving(why, Instant::now() + grace);
            }
        }
    }

    /// Takes leave of interfaces, and looks for those that are gone; whether there is anything to wait for.
    fn keep_up(&mut self) -> bool {
        for line in &mut self.lines {
            let number = line.device.number;
            match &mut line.state {
                State::Leaving(why, until) if *until <= Instant::now() => {
                    let why = std::mem::take(why);
                    self.account.set(number, |account| account.gone = Some(why));
                    line.state = State::Gone(Instant::now());
                }
                State::Gone(looked) if looked.elapsed() >= REOPENING => {
                    *looked = Instant::now();
                    if self.options.on_loss == OnLoss::Reopen && line.device.reopen(&self.options).is_ok() {
                        self.account.set(number, |account| account.gone = None);
                        line.state = State::Open;
                    }
                }
                _ => {}
            }
        }
        self.options.on_loss == OnLoss::Reopen || !self.lines.iter().all(Line::is_gone)
    }

    /// Sleeps until a packet comes, for a moment at most.
    fn sleep(&self) {
        let open = self.lines.iter().filter(|line| line.is_open());
        let mut descriptors: Vec<_> =
            open.map(|line| PollFd::new(line.device.handle(), PollFlags::IN)).collect();
        let moment = Timespec::try_from(LONGEST_SLEEP).ok();
        // A signal wakes it too early, which does no harm.
        let _ = poll(&mut descriptors, moment.as_ref());
    }
}

/// The wall clock, by which the kernel stamps packets.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(0) + since_epoch
}
