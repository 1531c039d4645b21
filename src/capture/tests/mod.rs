//! Files made by hand, files made by the writers, and what damage does to either.

mod damage;
mod formats;
mod round_trip;
mod sets;

use std::io::Read;

use super::{CaptureError, CaptureFile, FileStats, PacketSource};
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// A packet that owns its bytes, to be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    at: i64,
    link: u16,
    interface: u32,
    original_len: u32,
    data: Vec<u8>,
}

impl Owned {
    fn of(packet: &Packet<'_>) -> Self {
        Self {
            at: packet.at.as_nanos(),
            link: packet.link.0,
            interface: packet.interface,
            original_len: packet.original_len,
            data: packet.data.to_vec(),
        }
    }

    fn packet(&self) -> Packet<'_> {
        Packet {
            at: Timestamp::from_nanos(self.at),
            link: LinkType(self.link),
            number: 0,
            interface: self.interface,
            original_len: self.original_len,
            data: &self.data,
        }
    }
}

/// Everything that a source gives until its end or its first error; checks the numbering on the way.
fn drain<S: PacketSource>(source: &mut S) -> (Vec<Owned>, Option<S::Error>) {
    let mut packets = Vec::new();
    loop {
        match source.next_packet() {
            Ok(Some(packet)) => {
                packets.push(Owned::of(&packet));
                assert_eq!(packet.number, packets.len() as u64);
            }
            Ok(None) => return (packets, None),
            Err(error) => return (packets, Some(error)),
        }
    }
}

/// Opens and reads a whole stream.
fn read(bytes: impl Read) -> (Vec<Owned>, Result<FileStats, CaptureError>) {
    read_opened(CaptureFile::new("test", bytes))
}

fn read_opened<R: Read>(
    opened: Result<CaptureFile<R>, CaptureError>,
) -> (Vec<Owned>, Result<FileStats, CaptureError>) {
    match opened {
        Ok(mut file) => {
            let (packets, error) = drain(&mut file);
            (packets, error.map_or_else(|| Ok(file.stats()), Err))
        }
        Err(error) => (Vec::new(), Err(error)),
    }
}
