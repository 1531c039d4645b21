//! What became of each packet: one class for each, and the count of every class.

use std::fmt;

macro_rules! layers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A header that the decoder reads.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Layer { $($(#[$doc])* $variant,)* }

        impl Layer {
            /// All of them, from the wire inwards.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn truncated(self) -> &'static str {
                match self { $(Self::$variant => concat!("truncated-", $name),)* }
            }

            const fn malformed(self) -> &'static str {
                match self { $(Self::$variant => concat!("malformed-", $name),)* }
            }
        }
    };
}

layers! {
    /// Ethernet, with its VLAN and similar tags.
    Ethernet = "ethernet",
    /// IEEE 802.2 LLC and SNAP.
    Llc = "llc",
    /// Linux cooked capture.
    Cooked = "cooked",
    /// BSD loopback.
    Loopback = "loopback",
    /// PPP.
    Ppp = "ppp",
    /// PPPoE session.
    Pppoe = "pppoe",
    /// The radiotap header before IEEE 802.11.
    Radiotap = "radiotap",
    /// IEEE 802.11.
    Ieee80211 = "802.11",
    /// Linux netfilter log.
    Nflog = "nflog",
    /// An MPLS label stack or a pseudowire's control word.
    Mpls = "mpls",
    /// IP, before its version is known.
    Ip = "ip",
    /// IPv4.
    Ipv4 = "ipv4",
    /// IPv6.
    Ipv6 = "ipv6",
    /// An IPv6 extension header, or AH.
    IpExtension = "ip-extension",
    /// GRE and ERSPAN.
    Gre = "gre",
    /// UDP.
    Udp = "udp",
    /// TCP.
    Tcp = "tcp",
}

/// Why a packet could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undecodable {
    /// The capture's link type is none that the decoder knows.
    UnknownLink,
    /// The captured bytes end inside this header.
    Truncated(Layer),
    /// This header contradicts itself or the bytes around it.
    Malformed(Layer),
    /// The payload is encrypted below IP (802.11 protected frames, `MACsec`, PPP ECP).
    Encrypted,
    /// The payload is compressed below IP (PPP: Van Jacobson, CCP, `RoHC`).
    Compressed,
    /// The frame carries several packets (A-MSDU), of which a decoder could report only one.
    Aggregated,
    /// More headers inside each other than the decoder follows.
    NestedTooDeep,
}

/// What became of a packet. Each belongs to exactly one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PacketClass {
    /// It gave a TCP segment.
    Used,
    /// It carries no IP (ARP, LLDP, spanning tree, 802.11 management).
    NotIp,
    /// It carries IP, and in it no TCP (UDP, ICMP).
    NotTcp,
    /// An IP fragment that waits for the others of its datagram, or waited and became part of it. The
    /// fragment that completes a datagram has the class of the datagram.
    FragmentHeld,
    /// An IP fragment that did not become part of a datagram: others are missing, it contradicts
    /// them, or the bounds of defragmentation were reached.
    FragmentDropped,
    /// Another copy of a packet that was seen just before.
    Duplicate,
    /// Excluded by a filter of the user.
    Filtered,
    /// It could not be read.
    Undecodable(Undecodable),
}

const LAYERS: usize = Layer::ALL.len();
/// The number of classes without a layer.
const PLAIN: usize = 12;
const CLASSES: usize = PLAIN + 2 * LAYERS;

impl PacketClass {
    /// The header `layer` is not complete.
    pub(super) const fn truncated(layer: Layer) -> Self {
        Self::Undecodable(Undecodable::Truncated(layer))
    }

    /// The header `layer` is wrong.
    pub(super) const fn malformed(layer: Layer) -> Self {
        Self::Undecodable(Undecodable::Malformed(layer))
    }

    /// The name in reports: lower case, words joined by `-`. Names do not change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::NotIp => "not-ip",
            Self::NotTcp => "not-tcp",
            Self::FragmentHeld => "fragment-held",
            Self::FragmentDropped => "fragment-dropped",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::Undecodable(why) => match why {
                Undecodable::UnknownLink => "unknown-link-type",
                Undecodable::Encrypted => "encrypted",
                Undecodable::Compressed => "compressed",
                Undecodable::Aggregated => "aggregated",
                Undecodable::NestedTooDeep => "nested-too-deep",
                Undecodable::Truncated(layer) => layer.truncated(),
                Undecodable::Malformed(layer) => layer.malformed(),
            },
        }
    }

    /// All classes, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = [
            Self::Used,
            Self::NotIp,
            Self::NotTcp,
            Self::FragmentHeld,
            Self::FragmentDropped,
            Self::Duplicate,
            Self::Filtered,
            Self::Undecodable(Undecodable::UnknownLink),
            Self::Undecodable(Undecodable::Encrypted),
            Self::Undecodable(Undecodable::Compressed),
            Self::Undecodable(Undecodable::Aggregated),
            Self::Undecodable(Undecodable::NestedTooDeep),
        ];
        let layers = Layer::ALL.iter().flat_map(|&l| [Self::truncated(l), Self::malformed(l)]);
        plain.into_iter().chain(layers)
    }

    /// Its place in [`Self::all`].
    const fn index(self) -> usize {
        match self {
            Self::Used => 0,
            Self::NotIp => 1,
            Self::NotTcp => 2,
            Self::FragmentHeld => 3,
            Self::FragmentDropped => 4,
            Self::Duplicate => 5,
            Self::Filtered => 6,
            Self::Undecodable(why) => match why {
                Undecodable::UnknownLink => 7,
                Undecodable::Encrypted => 8,
                Undecodable::Compressed => 9,
                Undecodable::Aggregated => 10,
                Undecodable::NestedTooDeep => 11,
                Undecodable::Truncated(layer) => PLAIN + 2 * layer as usize,
                Undecodable::Malformed(layer) => PLAIN + 2 * layer as usize + 1,
            },
        }
    }
}

impl fmt::Display for PacketClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many packets belong to each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketAccount([u64; CLASSES]);

impl Default for PacketAccount {
    fn default() -> Self {
        Self([0; CLASSES])
    }
}

impl PacketAccount {
    /// Counts one packet.
    pub fn count(&mut self, class: PacketClass) {
        self.0[class.index()] += 1;
    }

    /// Moves `fragments` packets from [`PacketClass::FragmentHeld`] to
    /// [`PacketClass::FragmentDropped`]: once, at the end of the capture, with the figure of
    /// [`Decoder::incomplete_fragments`](super::Decoder::incomplete_fragments).
    pub fn settle(&mut self, fragments: u64) {
        let moved = fragments.min(self.of(PacketClass::FragmentHeld));
        self.0[PacketClass::FragmentHeld.index()] -= moved;
        self.0[PacketClass::FragmentDropped.index()] += moved;
    }

    /// Adds another account to this one.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// The packets of one class.
    #[must_use]
    pub fn of(&self, class: PacketClass) -> u64 {
        self.0[class.index()]
    }

    /// All packets.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Packets that could not be read, for whatever reason.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.iter().filter(|(class, _)| matches!(class, PacketClass::Undecodable(_))).map(|(_, n)| n).sum()
    }

    /// The classes that were met, with their counts, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (PacketClass, u64)> + '_ {
        PacketClass::all().map(|class| (class, self.of(class))).filter(|&(_, n)| n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_own_place_and_name() {
        let all: Vec<_> = PacketClass::all().collect();
        assert_eq!(all.len(), CLASSES);
        assert!(all.iter().enumerate().all(|(i, class)| class.index() == i));
        let names: std::collections::BTreeSet<_> = all.iter().map(|class| class.name()).collect();
        assert_eq!(names.len(), CLASSES);
    }

    #[test]
    fn settling_moves_fragments_and_keeps_the_total() {
        let mut account = PacketAccount::default();
        for class in [PacketClass::FragmentHeld, PacketClass::FragmentHeld, PacketClass::Used] {
            account.count(class);
        }
        account.settle(1);
        let met: Vec<_> = account.iter().map(|(class, n)| (class.name(), n)).collect();
        assert_eq!(met, [("used", 1), ("fragment-held", 1), ("fragment-dropped", 1)]);
        assert_eq!(account.total(), 3);
    }
}
