//! One interface, open.

use std::fs;
use std::time::Duration;

use pcap::{Active, Capture, Linktype};

use super::error::plain;
use super::{Delivery, InterfaceAccount, LiveError, LiveOptions};
use crate::capture::InterfaceCounts;
use crate::packet::{LinkType, Packet};
use crate::time::Timestamp;

/// An interface's handle.
pub(super) struct Device {
    pub(super) number: u32,
    pub(super) name: String,
    handle: Capture<Active>,
    link: LinkType,
    precision: pcap::Precision,
    /// What was counted so far.
    counted: InterfaceCounts,
    /// libpcap's counters as they were read last: received, dropped by the kernel, by the interface.
    last: [u32; 3],
    /// Packets taken since the interface was first opened.
    taken: u64,
}

/// What one look at an interface brought.
pub(super) enum Next {
    /// A packet was taken.
    Taken,
    /// Nothing is there now.
    Nothing,
    /// Nothing will come any more: why.
    Gone(String),
}

impl Device {
    pub(super) fn open(number: u32, name: &str, options: &LiveOptions) -> Result<Self, LiveError> {
        let (handle, precision) =
            activate(name, options).map_err(|error| LiveError::of_opening(name, &error))?;
        let mut handle = handle.setnonblock().map_err(|error| LiveError::of_opening(name, &error))?;
        // With interface numbers in place of one name for all, where libpcap has it.
        if handle.get_datalink() == Linktype(i32::from(LinkType::LINUX_SLL.0)) {
            let _ = handle.set_datalink(Linktype(i32::from(LinkType::LINUX_SLL2.0)));
        }
        if let Some(filter) = &options.filter {
            handle
                .filter(filter, true)
                .map_err(|error| LiveError::Filter { interface: name.to_owned(), reason: plain(&error) })?;
        }
        let link = link_of(handle.get_datalink());
        let counted = InterfaceCounts::default();
        Ok(Self { number, name: name.to_owned(), handle, link, precision, counted, last: [0; 3], taken: 0 })
    }

    /// Opens it anew after it went away; counts go on.
    pub(super) fn reopen(&mut self, options: &LiveOptions) -> Result<(), LiveError> {
        let (counted, taken) = (self.counts(), self.taken);
        *self = Self { counted, taken, ..Self::open(self.number, &self.name, options)? };
        Ok(())
    }

    pub(super) fn about(&self) -> InterfaceAccount {
        let counts = InterfaceCounts::default();
        InterfaceAccount { name: self.name.clone(), link: self.link, counts, gone: None }
    }

    /// The descriptor that can be polled.
    pub(super) fn handle(&self) -> &Capture<Active> {
        &self.handle
    }

    /// Takes one packet if there is one.
    pub(super) fn next(&mut self, take: impl FnOnce(&Packet<'_>)) -> Next {
        let (precision, link, interface) = (self.precision, self.link, self.number);
        match self.handle.next_packet() {
            Ok(packet) => {
                self.taken += 1;
                let at = time(packet.header.ts.tv_sec, packet.header.ts.tv_usec, precision);
                take(&Packet {
                    at,
                    link,
                    number: 0,
                    interface,
                    original_len: packet.header.len,
                    data: packet.data,
                });
                Next::Taken
            }
            Err(pcap::Error::TimeoutExpired) => Next::Nothing,
            Err(error) => Next::Gone(plain(&error)),
        }
    }

    /// Whether the interface is down, as far as that can be seen.
    pub(super) fn is_down(&self) -> bool {
        const UP: u32 = 1;
        let flags = fs::read_to_string(format!("/sys/class/net/{}/flags", self.name)).ok();
        let flags = flags.and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
        flags.is_some_and(|flags| flags & UP == 0)
    }

    /// What is counted without asking the kernel: at least what was taken has been received.
    pub(super) fn counts_so_far(&self) -> InterfaceCounts {
        InterfaceCounts { received: self.counted.received.max(self.taken), ..self.counted }
    }

    /// What the kernel counted since the interface was first opened.
    pub(super) fn counts(&mut self) -> InterfaceCounts {
        // An interface that is gone counts nothing more.
        let Ok(stat) = self.handle.stats() else { return self.counts_so_far() };
        let now = [stat.received, stat.dropped, stat.if_dropped];
        let counted = &mut self.counted;
        let sums = [&mut counted.received, &mut counted.dropped_by_kernel, &mut counted.dropped_by_interface];
        for (sum, (now, last)) in sums.into_iter().zip(now.into_iter().zip(self.last)) {
            // libpcap's counters go round after 32 bits.
            *sum += u64::from(now.wrapping_sub(last));
        }
        self.last = now;
        self.counts_so_far()
    }
}

/// Nanosecond stamps where libpcap has them; all of Linux does.
fn activate(name: &str, options: &LiveOptions) -> Result<(Capture<Active>, pcap::Precision), pcap::Error> {
    let with = |precision| {
        let handle = Capture::from_device(name)?
            .snaplen(i32::try_from(options.snaplen).unwrap_or(i32::MAX))
            .buffer_size(i32::try_from(options.buffer).unwrap_or(i32::MAX))
            // On all interfaces at once it has no meaning, and libpcap ignores it.
            .promisc(options.promiscuous)
            .precision(precision);
        let handle = match options.delivery {
            Delivery::Blocks(wait) => handle.timeout(millis(wait)),
            Delivery::Immediate => handle.immediate_mode(true),
        };
        Ok((handle.open()?, precision))
    };
    with(pcap::Precision::Nano)
}

/// libpcap takes 0 as for ever.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX).max(1)
}

fn time(seconds: i64, fraction: i64, precision: pcap::Precision) -> Timestamp {
    let nanos = match precision {
        pcap::Precision::Nano => fraction,
        pcap::Precision::Micro => fraction.saturating_mul(1000),
    };
    Timestamp::from_parts(seconds, u32::try_from(nanos).unwrap_or_default())
}

/// libpcap's own number of raw IP is another one in files.
fn link_of(link: Linktype) -> LinkType {
    match LinkType(u16::try_from(link.0).unwrap_or(u16::MAX)) {
        LinkType::RAW_BSD => LinkType::RAW,
        link => link,
    }
}
