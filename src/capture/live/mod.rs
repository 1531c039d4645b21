//! Capturing on interfaces, by libpcap.
//!
//! ```text
//! kernel ring ─▶ thread "capture": libpcap ─batches─▶ LiveCapture, in the consumer's thread
//! ```
//!
//! [`Opened`] holds the interfaces' handles, whose opening takes privileges; they can be
//! [dropped](privileges::drop_them) before [`Opened::start`] starts the thread that reads them. The queue
//! between the thread and the consumer is bounded: behind a slow consumer packets wait in the kernel's
//! ring, and when that is full the kernel drops them and counts it. Nothing is lost that is not counted.

mod account;
mod batch;
mod device;
mod error;
mod interfaces;
pub mod privileges;
mod thread;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::PacketSource;
use crate::packet::Packet;
use batch::Batch;
use device::Device;

pub use account::{Account, InterfaceAccount};
pub use error::LiveError;
pub use interfaces::{Interface, list};

/// What is captured, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOptions {
    /// The interfaces' names; `any` is all of them.
    pub interfaces: Vec<String>,
    /// Only packets that this filter of pcap-filter(7) admits; the kernel drops the others.
    pub filter: Option<String>,
    /// How many bytes of each packet are kept.
    pub snaplen: u32,
    /// The kernel's ring for each interface, in bytes.
    pub buffer: u32,
    /// Whether an interface hands over what is not addressed to this machine.
    pub promiscuous: bool,
    /// When packets are handed over.
    pub delivery: Delivery,
    /// What becomes of an interface that goes down or away.
    pub on_loss: OnLoss,
}

/// When the kernel hands packets over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In blocks: as soon as one is full, or this time after its first packet.
    Blocks(Duration),
    /// Each at once. The ring then has room for fewer packets, as each takes as much as the largest.
    Immediate,
}

/// What becomes of an interface that goes down or away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// Capturing goes on with the others, and ends with the last.
    Stop,
    /// It is opened again when it is back, which takes the privileges that opening took before.
    Reopen,
}

impl LiveOptions {
    /// All packets of these interfaces, whole.
    #[must_use]
    pub fn new(interfaces: Vec<String>) -> Self {
        Self {
            interfaces,
            filter: None,
            snaplen: 262_144,
            buffer: 64 << 20,
            promiscuous: true,
            delivery: Delivery::Blocks(Duration::from_millis(100)),
            on_loss: OnLoss::Stop,
        }
    }
}

/// Interfaces that are open and not read yet; the kernel's rings fill.
pub struct Opened {
    options: LiveOptions,
    devices: Vec<Device>,
    account: Arc<Account>,
}

impl Opened {
    /// Opens the interfaces.
    ///
    /// # Errors
    /// When one cannot be opened, or the filter means nothing on it.
    pub fn open(options: LiveOptions) -> Result<Self, LiveError> {
        let mut devices = Vec::new();
        for (number, name) in (0..).zip(&options.interfaces) {
            devices.push(Device::open(number, name, &options)?);
        }
        let account = Arc::new(Account::new(devices.iter().map(Device::about).collect()));
        Ok(Self { options, devices, account })
    }

    /// The account of the interfaces, which is kept while they are read.
    #[must_use]
    pub fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }

    /// Starts the thread that reads them.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(self) -> io::Result<LiveCapture> {
        let stopper = Stopper::default();
        let (handle, batches, returned) = thread::start(self, stopper.clone())?;
        Ok(LiveCapture {
            account: handle.1,
            batches,
            returned,
            current: Batch::default(),
            at: 0,
            packets: 0,
            stopper,
            thread: Some(handle.0),
        })
    }
}

/// Ends capturing from another thread; cloning gives the same one.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<AtomicBool>);

impl Stopper {
    /// Nothing that comes from now on is captured. What the kernel holds already still comes.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What came of waiting for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// There are some.
    Packets,
    /// None came in that time.
    Nothing,
    /// None will come any more.
    Ended,
}

/// Packets as they are captured.
///
/// As a [`PacketSource`] it lends what is at hand and says `None` when that is used up;
/// [`LiveCapture::wait`] waits for more.
pub struct LiveCapture {
    account: Arc<Account>,
    batches: Receiver<Batch>,
    /// Where used batches go to be filled again.
    returned: SyncSender<Batch>,
    current: Batch,
    /// The place in the batch of the packet that is next.
    at: usize,
    packets: u64,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl LiveCapture {
    /// Waits until there is a packet to lend.
    pub fn wait(&mut self, at_most: Duration) -> Waited {
        if self.at < self.current.len() {
            return Waited::Packets;
        }
        match self.batches.recv_timeout(at_most) {
            Ok(batch) => {
                let used = std::mem::replace(&mut self.current, batch);
                // Where there is no room, the thread has batches enough.
                let _ = self.returned.try_send(used);
                self.at = 0;
                if self.current.len() == 0 { Waited::Nothing } else { Waited::Packets }
            }
            Err(RecvTimeoutError::Timeout) => Waited::Nothing,
            Err(RecvTimeoutError::Disconnected) => Waited::Ended,
        }
    }

    /// Ends it: what the kernel still holds is counted and left. The account changes no more.
    pub fn end(&mut self) {
        self.stopper.stop();
        // The thread may wait for room in the queue.
        while self.batches.recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// What ends it from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The account of its interfaces.
    #[must_use]
    pub fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

impl PacketSource for LiveCapture {
    type Error = Infallible;

    fn next_packet(&mut self) -> Result<Option<Packet<'_>>, Infallible> {
        if self.at >= self.current.len() {
            return Ok(None);
        }
        self.at += 1;
        self.packets += 1;
        Ok(self.current.packet(self.at - 1, self.packets))
    }
}

impl Drop for LiveCapture {
    fn drop(&mut self) {
        self.end();
    }
}
