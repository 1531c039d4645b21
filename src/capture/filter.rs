//! Packet filters in the language of tcpdump (pcap-filter(7)), on packets that we read ourselves.
//!
//! libpcap compiles the expression, once for each link type, and runs it on our buffers. Without the
//! feature `live` there is no libpcap, and no filter can be made.

use std::fmt;

#[cfg(feature = "live")]
use crate::packet::LinkType;
use crate::packet::Packet;

/// A filter expression that compiles.
pub struct PacketFilter {
    expression: String,
    #[cfg(feature = "live")]
    programs: Vec<(LinkType, Option<pcap::BpfProgram>)>,
}

/// Why there is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// libpcap does not understand it.
    #[error("not a packet filter ({reason}); write one as for tcpdump, such as `tcp port 80`")]
    Syntax {
        /// What libpcap says.
        reason: String,
    },
    /// There is no libpcap in this build.
    #[error("this build has no packet filters: it was made without the feature `live`; --port narrows, too")]
    NotBuilt,
}

impl PacketFilter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When libpcap refuses it for Ethernet, or there is no libpcap.
    #[cfg(feature = "live")]
    pub fn new(expression: &str) -> Result<Self, FilterError> {
        let program =
            compile(expression, LinkType::ETHERNET).map_err(|reason| FilterError::Syntax { reason })?;
        let programs = vec![(LinkType::ETHERNET, Some(program))];
        Ok(Self { expression: expression.to_owned(), programs })
    }

    /// Without libpcap there is no filter.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "live"))]
    pub fn new(_expression: &str) -> Result<Self, FilterError> {
        Err(FilterError::NotBuilt)
    }

    /// Whether the filter lets a packet pass. None passes on a link type for which libpcap cannot
    /// compile the expression.
    #[cfg(feature = "live")]
    #[inline]
    pub fn admits(&mut self, packet: &Packet<'_>) -> bool {
        let place = self.programs.iter().position(|(link, _)| *link == packet.link);
        let place = place.unwrap_or_else(|| {
            self.programs.push((packet.link, compile(&self.expression, packet.link).ok()));
            self.programs.len() - 1
        });
        let program = self.programs.get(place).and_then(|(_, program)| program.as_ref());
        program.is_some_and(|program| program.filter(packet.data))
    }

    /// A filter cannot be made without libpcap, so there is no packet to ask about.
    #[cfg(not(feature = "live"))]
    #[inline]
    pub fn admits(&mut self, _packet: &Packet<'_>) -> bool {
        true
    }
}

impl fmt::Debug for PacketFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PacketFilter").field(&self.expression).finish()
    }
}

#[cfg(feature = "live")]
fn compile(expression: &str, link: LinkType) -> Result<pcap::BpfProgram, String> {
    // Raw IP has one number in files and another within libpcap.
    let dlt = if link == LinkType::RAW { LinkType::RAW_BSD } else { link };
    let optimize = true;
    pcap::Capture::dead(pcap::Linktype(i32::from(dlt.0)))
        .and_then(|handle| handle.compile(expression, optimize))
        .map_err(|error| error.to_string())
}

#[cfg(all(test, feature = "live"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capture::synth::Conversation;
    use crate::time::Timestamp;

    #[test]
    fn an_expression_admits_what_tcpdump_would_show() {
        let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:8080".parse().unwrap());
        let mut talk = Conversation::new(client, server, Timestamp::default()).step(Duration::from_millis(1));
        talk.open();
        let frames = talk.take_frames();
        let packet = frames[0].packet(1);
        for (expression, passes) in [
            ("tcp port 8080", true),
            ("tcp port 80", false),
            ("host 10.0.0.2 and not udp", true),
            ("tcp[tcpflags] & tcp-syn != 0", true),
            ("udp", false),
            ("", true),
        ] {
            let mut filter = PacketFilter::new(expression).unwrap();
            assert_eq!(filter.admits(&packet), passes, "{expression}");
        }
    }

    #[test]
    fn each_link_type_has_its_own_program() {
        let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:8080".parse().unwrap());
        let mut talk = Conversation::new(client, server, Timestamp::default());
        talk.open();
        let frames = talk.take_frames();
        let ethernet = frames[0].packet(1);
        let raw = Packet { link: LinkType::RAW, data: &ethernet.data[14..], ..ethernet };
        let unknown = Packet { link: LinkType(9999), ..ethernet };
        let mut filter = PacketFilter::new("tcp port 8080").unwrap();
        assert_eq!([ethernet, raw, unknown].map(|packet| filter.admits(&packet)), [true, true, false]);
    }

    #[test]
    fn what_libpcap_refuses_is_told_with_its_reason() {
        let error = PacketFilter::new("tcp prt 80").unwrap_err().to_string();
        assert!(error.contains("syntax error") && error.contains("tcp port 80"), "{error}");
    }
}
