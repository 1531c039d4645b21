//! The thread that reads: from the captured packets to exchanges, and to the file beside them.

use std::cell::RefCell;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::feed::LiveFeed;
use super::watch::{ReadSoFar, Watch};
use crate::capture::PacketSource;
use crate::capture::live::{LiveCapture, Waited};
use crate::capture::recorder::Recorder;
use crate::exchange::{Exchange, Listener, Sequencer, SequencerLimits, Start, Told};
use crate::packet::Packet;
use crate::pipeline::{Reading, ReadingOptions, RunError};
use crate::stream::{Closing, ConnectionId};
use crate::time::Timestamp;

/// How long the thread waits where nothing is captured.
const WAIT: Duration = Duration::from_millis(100);
/// How far what has been read may lie behind the clock where nothing is waiting to be read.
const BEHIND: Duration = Duration::from_millis(500);
/// How often the account of what was read is told.
const TELLING: Duration = Duration::from_millis(200);

/// Exchanges are told as soon as they are complete: an order among them would make each wait for v1's
/// slowest answer.
const AT_ONCE: SequencerLimits = SequencerLimits { exchanges: 0, bytes: 0 };

pub(super) struct LiveReader {
    pub(super) capture: LiveCapture,
    pub(super) recorder: Option<Recorder>,
    pub(super) options: ReadingOptions,
    pub(super) watch: Arc<Watch>,
}

/// Starts the thread; it ends when capturing does, and what is returned beside it is told so.
pub(super) fn spawn(
    reader: LiveReader,
    feed: LiveFeed,
) -> Result<(JoinHandle<()>, oneshot::Receiver<()>), RunError> {
    let (ended, captured_all) = oneshot::channel();
    let read = move || {
        reader.run(feed);
        // Whoever is not there any more need not be told.
        let _ = ended.send(());
    };
    let thread = thread::Builder::new().name("reading".to_owned()).spawn(read);
    let thread = thread.map_err(|source| RunError::System { what: "a thread", source })?;
    Ok((thread, captured_all))
}

impl LiveReader {
    fn run(self, feed: LiveFeed) {
        let Self { capture, recorder, options, watch } = self;
        let tee = Tee { capture, recorder, watch: Arc::clone(&watch), read: ReadSoFar::default() };
        let feed = RefCell::new(feed);
        let sequencer = Sequencer::new(AT_ONCE, |told: Told| feed.borrow_mut().take(told));
        let listener = Choosing { sequencer, feed: &feed };
        let mut reading = Reading::new(tee, options, listener);
        let mut told = Instant::now();
        loop {
            match reading.source_mut().capture.wait(WAIT) {
                Waited::Packets => while matches!(reading.step(), Ok(true)) {},
                Waited::Nothing => reading.pass_time(now() - BEHIND),
                Waited::Ended => break,
            }
            reading.source_mut().tick();
            if told.elapsed() >= TELLING {
                watch.read(reading.source().read.clone(), reading.account(), feed.borrow().shares());
                told = Instant::now();
            }
        }
        reading.finish();
        reading.listener_mut().sequencer.finish();
        watch.read(reading.source().read.clone(), reading.account(), feed.borrow().shares());
        reading.source_mut().complete();
    }
}

/// The order in which exchanges are told, and the feed's own word on which bodies it wants.
struct Choosing<'f, L> {
    sequencer: L,
    feed: &'f RefCell<LiveFeed>,
}

impl<L: Listener> Listener for Choosing<'_, L> {
    fn began(&mut self, at: Timestamp) -> Start {
        self.sequencer.began(at)
    }

    fn finished(&mut self, start: Start, exchange: Option<Box<Exchange>>) {
        self.sequencer.finished(start, exchange);
    }

    fn wants_body(&mut self, begun: &Exchange) -> bool {
        self.feed.borrow_mut().wants(begun)
    }

    fn closed(&mut self, connection: ConnectionId, closing: Option<Closing>) {
        self.sequencer.closed(connection, closing);
    }
}

/// Packets on their way to the exchanges, which are written down as they pass.
struct Tee {
    capture: LiveCapture,
    recorder: Option<Recorder>,
    watch: Arc<Watch>,
    read: ReadSoFar,
}

impl Tee {
    fn tick(&mut self) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.tick()
        {
            self.watch.not_kept(&error);
            self.recorder = None;
        }
    }

    fn complete(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        match recorder.finish() {
            Ok(files) => self.watch.kept(files),
            Err(error) => self.watch.not_kept(&error),
        }
    }
}

impl PacketSource for Tee {
    type Error = Infallible;

    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Infallible> {
        let Some(packet) = self.capture.next_packet()? else { return Ok(None) };
        self.read.count(&packet);
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.write(&packet)
        {
            // Shadowing goes on.
            self.watch.not_kept(&error);
            self.recorder = None;
        }
        Ok(Some(packet))
    }
}

/// The wall clock, by which the kernel stamps packets.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(0) + since_epoch
}
