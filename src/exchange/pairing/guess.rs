//! What holes among pipelined messages have likely swallowed.

/// Holes since the last response, and what answers usually take.
#[derive(Debug, Default)]
pub(super) struct Guess {
    /// A hole among the requests, before the request of this place.
    lost_request: Option<u32>,
    /// Bytes missing of the responses.
    missing: u64,
    /// How many requests waited for answers then.
    awaited: u32,
    /// How many responses were read, and their bytes.
    answered: (u64, u64),
}

impl Guess {
    /// A response of so many bytes was read.
    pub(super) fn count(&mut self, bytes: u64) {
        self.answered.0 += 1;
        self.answered.1 += bytes;
    }

    /// Bytes of responses are missing, when so many requests waited for answers.
    pub(super) fn lose_responses(&mut self, missing: u64, awaited: u32) {
        self.missing = self.missing.saturating_add(missing);
        self.awaited = awaited;
    }

    /// There is a hole before the request of this place.
    pub(super) fn lose_request(&mut self, place: u32) {
        self.lost_request.get_or_insert(place);
    }

    /// How many answers the missing bytes are, were they like those before; they are told of once.
    pub(super) fn take_lost_responses(&mut self) -> u32 {
        let missing = std::mem::take(&mut self.missing);
        let usual = self.answered.1.checked_div(self.answered.0).unwrap_or(0);
        let lost = if usual == 0 { missing.min(1) } else { missing.div_ceil(usual) };
        u32::try_from(lost).unwrap_or(u32::MAX).min(self.awaited)
    }

    /// Whether the response to the request of this place is that to one in the hole before it; once.
    pub(super) fn take_lost_request(&mut self, place: u32) -> bool {
        self.lost_request.take_if(|lost| *lost <= place).is_some()
    }
}
