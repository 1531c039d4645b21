//! The options of a pcapng interface that say how its packets tell the time.

use super::byte_order::ByteOrder;
use crate::time::Timestamp;

const END_OF_OPTIONS: u16 = 0;
const TIMESTAMP_RESOLUTION: u16 = 9;
const TIMESTAMP_OFFSET: u16 = 14;

/// How the ticks of an interface become time: their unit, and what is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    offset_seconds: i64,
}

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// That many nanoseconds.
    Nanos(u64),
    /// One nanosecond holds that many ticks.
    PerNano(u128),
    /// One second holds two to the power of that many ticks.
    BinaryPerSecond(u32),
}

impl Default for Clock {
    /// Microseconds since 1970, as where nothing is said.
    fn default() -> Self {
        Self { unit: Unit::Nanos(1000), offset_seconds: 0 }
    }
}

impl Clock {
    /// The clock that an interface's options state. Malformed options say nothing.
    pub(super) fn of_interface(order: ByteOrder, options: &[u8]) -> Self {
        let mut clock = Self::default();
        for (code, value) in (Options { order, rest: options }) {
            match (code, value) {
                (TIMESTAMP_RESOLUTION, [resolution, ..]) => clock.unit = Unit::from_resolution(*resolution),
                (TIMESTAMP_OFFSET, _) => {
                    if let Some(seconds) = value.first_chunk() {
                        clock.offset_seconds = order.u64(*seconds).cast_signed();
                    }
                }
                _ => {}
            }
        }
        clock
    }

    /// The time of a packet that was captured at that many ticks.
    #[inline]
    pub(super) fn time(self, ticks: u64) -> Timestamp {
        let nanos = match self.unit {
            Unit::Nanos(nanos) => match ticks.checked_mul(nanos).map(i64::try_from) {
                Some(Ok(nanos)) => nanos,
                _ => i64::MAX,
            },
            Unit::PerNano(ticks_per_nano) => saturate(u128::from(ticks) / ticks_per_nano),
            Unit::BinaryPerSecond(exponent) => {
                saturate((u128::from(ticks) * 1_000_000_000).checked_shr(exponent).unwrap_or(0))
            }
        };
        let offset = self.offset_seconds.saturating_mul(1_000_000_000);
        Timestamp::from_nanos(nanos.saturating_add(offset))
    }
}

impl Unit {
    /// From `if_tsresol`: a negative power of ten, or of two when the highest bit is set.
    fn from_resolution(resolution: u8) -> Self {
        let exponent = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::BinaryPerSecond(exponent);
        }
        match exponent {
            0..=9 => Self::Nanos(10_u64.pow(9 - exponent)),
            // Where the power is beyond 2^128, every tick count is less than a nanosecond.
            _ => Self::PerNano(10_u128.checked_pow(exponent - 9).unwrap_or(u128::MAX)),
        }
    }
}

fn saturate(nanos: u128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

/// Codes and values, up to the end mark or to what does not fit.
struct Options<'b> {
    order: ByteOrder,
    rest: &'b [u8],
}

impl<'b> Iterator for Options<'b> {
    type Item = (u16, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([c0, c1, l0, l1], rest) = self.rest.split_first_chunk()?;
        let code = self.order.u16([*c0, *c1]);
        let length = usize::from(self.order.u16([*l0, *l1]));
        if code == END_OF_OPTIONS {
            return None;
        }
        let value = rest.get(..length)?;
        self.rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(options: &[u8]) -> Clock {
        Clock::of_interface(ByteOrder::Big, options)
    }

    #[test]
    fn ticks_are_read_in_every_unit() {
        let second = 1_700_000_000_u64;
        for (resolution, ticks, nanos) in [
            (0, second, second * 1_000_000_000),
            (3, second * 1000 + 7, second * 1_000_000_000 + 7_000_000),
            (6, second * 1_000_000 + 7, second * 1_000_000_000 + 7000),
            (9, second * 1_000_000_000 + 7, second * 1_000_000_000 + 7),
            (10, 1_234_567_890, 123_456_789),
            (12, 1_999, 1),
            (127, u64::MAX, 0),
            (0x80, second, second * 1_000_000_000),
            (0x8a, (second << 10) + 512, second * 1_000_000_000 + 500_000_000),
            (0x94, (second << 20) + 1, second * 1_000_000_000 + 953),
            (0xff, u64::MAX, 0),
        ] {
            let time = clock(&[0, 9, 0, 1, resolution, 0, 0, 0]).time(ticks);
            assert_eq!(time.as_nanos().cast_unsigned(), nanos, "resolution {resolution:#x}");
        }
    }

    #[test]
    fn the_offset_is_added_in_seconds_and_may_be_negative() {
        let options = |seconds: i64| {
            let mut bytes = vec![0, 2, 0, 3, b'l', b'o', b'0', 0, 0, 14, 0, 8];
            bytes.extend(seconds.to_be_bytes());
            bytes
        };
        assert_eq!(clock(&options(5)).time(1).as_nanos(), 5_000_001_000);
        assert_eq!(clock(&options(-5)).time(1).as_nanos(), -4_999_999_000);
        assert_eq!(clock(&options(i64::MIN)).time(1).as_nanos(), i64::MIN + 1000);
    }

    #[test]
    fn options_that_are_cut_or_behind_the_end_mark_say_nothing() {
        for options in
            [&[][..], &[0, 9], &[0, 9, 0, 1], &[0, 0, 0, 0, 0, 9, 0, 1, 9, 0, 0, 0], &[0, 9, 255, 255, 9]]
        {
            assert_eq!(clock(options), Clock::default());
        }
    }

    #[test]
    fn times_beyond_the_range_saturate() {
        assert_eq!(clock(&[]).time(u64::MAX).as_nanos(), i64::MAX);
    }
}
