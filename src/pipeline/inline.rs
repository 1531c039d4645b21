//! A capture that is read by the thread that sends, just ahead of it.
//!
//! What one thread has read another finds in no cache of its own, and gives memory back that is not its own: that costs
//! more than to read and plan a request. So where all that counts is to be done soon, reading has no thread of its own. It
//! gives way to requests on their way after each few that it has read; while it waits for a disk, so do they.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::yield_now;

use super::feed::{Feed, Halt, Onward, Pending};
use super::reader::{Read, Reader, stop_if_refused};
use super::spill::{Place, Room};
use crate::record::Row;
use crate::replay::engine::Work;
use crate::replay::stop::StopHandle;
use crate::replay::supply::Supply;

/// So many requests are read at once. Those that have ended meanwhile have given back as many pieces of memory of each
/// size, which are in a near cache still.
const AT_ONCE: usize = 8;

/// So many packets are read before requests on their way have their turn again.
const PACKETS: u32 = 1024;

/// Work and rows that wait to be taken.
#[derive(Default)]
pub(super) struct Queue {
    work: Vec<Work<Pending>>,
    rows: Vec<Row>,
    /// Whether room was taken for some of it.
    has_large: bool,
}

impl Onward for Queue {
    fn work(&mut self, work: Work<Pending>) -> Result<(), Halt> {
        self.work.push(work);
        Ok(())
    }

    fn row(&mut self, row: Row) -> Result<(), Halt> {
        self.rows.push(row);
        Ok(())
    }

    fn place(&mut self, room: Room, bytes: u64) -> Place {
        self.has_large = true;
        room.overfill(bytes)
    }
}

impl Queue {
    /// Whether enough was read for now: a large message goes on before another is read.
    fn is_enough(&self) -> bool {
        self.has_large || self.work.len() + self.rows.len() >= AT_ONCE
    }
}

/// Reads when it is asked for work.
pub(super) struct Inline {
    reader: Reader<Feed<Queue>>,
    /// Where rows go that need nothing sent.
    rows: Sender<Row>,
    stop: Arc<StopHandle>,
    ended: bool,
}

impl Inline {
    pub(super) fn new(reader: Reader<Feed<Queue>>, rows: Sender<Row>, stop: Arc<StopHandle>) -> Self {
        Self { reader, rows, stop, ended: false }
    }

    /// Nothing more is read.
    pub(super) fn end(self) -> Read {
        self.reader.end()
    }
}

impl Supply<Pending> for Inline {
    /// Some ten small requests.
    const PARTS: u32 = 1024;
    const IS_READ_HERE: bool = true;

    async fn next(&mut self, batch: &mut Vec<Work<Pending>>) -> bool {
        while !self.ended {
            yield_now().await;
            while let Some(full) = self.reader.taker_mut().full().cloned() {
                full.has_some().await;
            }
            let mut packets = 0;
            self.ended = !self.reader.read_until(|feed| {
                packets += 1;
                packets == PACKETS || feed.onward.is_enough()
            });
            if self.ended {
                stop_if_refused(&mut self.reader, &self.stop);
            }
            let queue = &mut self.reader.taker_mut().onward;
            queue.has_large = false;
            let rows = std::mem::take(&mut queue.rows);
            batch.append(&mut queue.work);
            for row in rows {
                if self.rows.send(row).await.is_err() {
                    self.reader.taker_mut().halt.get_or_insert(Halt::Gone);
                }
            }
            if !batch.is_empty() {
                return true;
            }
        }
        false
    }
}
