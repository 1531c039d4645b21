//! Which of the captured requests the user wants sent, before any rule is asked where to.

use std::str::FromStr;
use std::time::Duration;

use super::filter::Filter;
use super::methods::Methods;
use super::outcome::SkipReason;
use crate::exchange::{Exchange, ExchangeId};
use crate::route::{Draw, Percent, Share};
use crate::stream::ConnectionId;
use crate::time::{Timestamp, parse_duration};

/// What a request must be to be sent.
#[derive(Debug, Default)]
pub struct Choice {
    /// When it was captured.
    pub window: Window,
    /// Its method.
    pub methods: Methods,
    /// Anything else about it.
    pub filter: Option<Filter>,
    /// A share of those that are left.
    pub sample: Sample,
    /// So many of those are sent at most.
    pub limit: Option<u64>,
}

impl Choice {
    /// Why a request is left out, where it is. The first request of the capture must come first: times
    /// may count from it.
    pub fn leaves_out(&mut self, exchange: &Exchange) -> Option<SkipReason> {
        let head = &exchange.request.head;
        if !self.window.holds(exchange.request.first_byte) {
            return Some(SkipReason::OutsideTime);
        }
        if !self.methods.admit(head.method()) {
            return Some(SkipReason::Method);
        }
        match self.filter.as_mut().map(|filter| filter.admits(exchange)) {
            Some(Ok(false)) => return Some(SkipReason::Filtered),
            Some(Err(_)) => return Some(SkipReason::FilterFailed),
            Some(Ok(true)) | None => {}
        }
        (!self.sample.takes(exchange)).then_some(SkipReason::NotInSample)
    }

    /// Whether a request may yet be taken, where of its exchange there is the request's head alone. Nothing is counted
    /// from it.
    pub fn may_take(&mut self, begun: &Exchange) -> bool {
        let mut window = self.window;
        (window.first.is_none() || window.holds(begun.request.first_byte))
            && self.methods.admit(begun.request.head.method())
            && self.filter.as_mut().is_none_or(|filter| filter.may_admit(begun))
            && self.sample.takes(begun)
            && self.limit != Some(0)
    }

    /// Whether one more request may be sent, which is then counted.
    pub fn has_room(&mut self) -> bool {
        match &mut self.limit {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }
}

/// A stretch of captured time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Where it begins; with the capture where it is not said.
    pub from: Option<Edge>,
    /// Before which point it ends; with the capture where it is not said.
    pub to: Option<Edge>,
    first: Option<Timestamp>,
}

/// One end of a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// A point in time.
    At(Timestamp),
    /// So long after the first request of the capture.
    After(Duration),
}

/// The text names no point of a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a time such as 2026-11-22T12:07:50Z nor a distance from the capture's first request such as 90s, 5m or 1h"
)]
pub struct EdgeError(String);

impl Window {
    /// A window with these ends.
    #[must_use]
    pub const fn new(from: Option<Edge>, to: Option<Edge>) -> Self {
        Self { from, to, first: None }
    }

    /// Whether it ends where it begins or before, so that nothing can lie in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (self.from, self.to) {
            (Some(Edge::At(from)), Some(Edge::At(to))) => to <= from,
            (Some(Edge::After(from)), Some(Edge::After(to))) => to <= from,
            _ => false,
        }
    }

    fn holds(&mut self, at: Timestamp) -> bool {
        let first = *self.first.get_or_insert(at);
        let point = |edge: Edge| match edge {
            Edge::At(at) => at,
            Edge::After(distance) => first + distance,
        };
        self.from.is_none_or(|from| at >= point(from)) && self.to.is_none_or(|to| at < point(to))
    }
}

impl FromStr for Edge {
    type Err = EdgeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A number alone could be either.
        if !text.ends_with(['s', 'm', 'h']) {
            return text.parse().map(Self::At).map_err(|_| EdgeError(text.to_owned()));
        }
        parse_duration(text).map(Self::After).map_err(|_| EdgeError(text.to_owned()))
    }
}

/// A share of the requests, the same each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub percent: Percent,
    /// What is taken or left as a whole.
    pub of: SampleOf,
    /// Chooses which.
    pub seed: u64,
}

/// What a sample consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleOf {
    /// Single requests.
    #[default]
    Requests,
    /// All requests of a connection, or none.
    Connections,
    /// All requests of a client's address, or none.
    Clients,
}

/// The text names no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no sample: write a percentage such as 10, or 10:connection or 10:client to keep those whole"
)]
pub struct SampleError(String);

/// Keeps the draws apart from those of the rules' percentages, so that half of a half is a quarter.
const SAMPLING: u64 = 0x7361_6d70_6c65;

impl Sample {
    /// The same share, chosen by this seed.
    #[must_use]
    pub const fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    fn takes(self, exchange: &Exchange) -> bool {
        let ConnectionId { client, server, instance } = exchange.connection;
        let epoch = Timestamp::from_nanos(0);
        let id = match self.of {
            SampleOf::Requests => exchange.id,
            SampleOf::Connections => ExchangeId::new(exchange.connection, epoch, instance),
            SampleOf::Clients => {
                let client = std::net::SocketAddr::new(client.ip(), 0);
                let server = std::net::SocketAddr::new(server.ip(), 0);
                ExchangeId::new(ConnectionId { client, server, instance: 0 }, epoch, 0)
            }
        };
        Share::from(self.percent).takes(Draw::new(self.seed ^ SAMPLING, id))
    }
}

impl FromStr for Sample {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SampleError(text.to_owned());
        let (percent, of) = text.split_once(':').unwrap_or((text, "request"));
        let of = match of {
            "request" => SampleOf::Requests,
            "connection" => SampleOf::Connections,
            "client" => SampleOf::Clients,
            _ => return Err(error()),
        };
        Ok(Self { percent: percent.parse().map_err(|_| error())?, of, seed: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::samples::{NOON, row};

    fn exchange(method: &str, seconds: u64) -> Box<Exchange> {
        let text = "HTTP/1.1 200 OK\r\n\r\n";
        let mut exchange = row(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"), text, text).exchange;
        exchange.request.first_byte = NOON + Duration::from_secs(seconds);
        exchange
    }

    #[test]
    fn a_window_is_said_in_captured_time_or_from_the_first_request_on() {
        for (from, to, held) in [
            (None, None, &[0, 1, 2, 3][..]),
            (Some("1s"), None, &[1, 2, 3]),
            (None, Some("2s"), &[0, 1]),
            (Some("0.5s"), Some("0.05m"), &[1, 2]),
            (Some("2026-11-22T12:00:01Z"), Some("2026-11-22T13:00:03+01:00"), &[1, 2]),
            (Some("9s"), None, &[]),
        ] {
            let edge = |text: Option<&str>| text.map(|text| text.parse().unwrap());
            let mut choice = Choice { window: Window::new(edge(from), edge(to)), ..Choice::default() };
            let held_here: Vec<_> =
                (0..4).filter(|second| choice.leaves_out(&exchange("GET", *second)).is_none()).collect();
            assert_eq!(held_here, held, "{from:?} {to:?}");
        }
        for text in ["", "5", "-1s", "noon", "2026-11-22", "1d", "1e400s", "NaNs"] {
            assert!(text.parse::<Edge>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_reason_is_told() {
        let mut choice = Choice {
            window: Window::new(Some(Edge::At(NOON + Duration::from_secs(1))), None),
            methods: Methods::Safe,
            filter: Some(Filter::new("status == 404").unwrap()),
            sample: "0".parse().unwrap(),
            limit: None,
        };
        assert_eq!(choice.leaves_out(&exchange("POST", 0)), Some(SkipReason::OutsideTime));
        assert_eq!(choice.leaves_out(&exchange("POST", 1)), Some(SkipReason::Method));
        assert_eq!(choice.leaves_out(&exchange("GET", 1)), Some(SkipReason::Filtered));
        choice.filter = None;
        assert_eq!(choice.leaves_out(&exchange("GET", 1)), Some(SkipReason::NotInSample));
    }

    #[test]
    fn what_the_head_alone_decides_is_known_before_the_answer() {
        let begun = Exchange { response: None, ..*exchange("POST", 0) };
        for (filter, may) in [
            ("method == \"POST\"", true),
            ("method == \"GET\"", false),
            ("status == 404", true),
            ("method == \"GET\" && status == 404", false),
            ("status == 404 && method == \"GET\"", false),
            ("method == \"POST\" || status == 404", true),
            ("status == 0 ? true : false", true),
            ("header(\"host\") == \"b\"", false),
        ] {
            let filter = Some(Filter::new(filter).unwrap());
            let mut choice = Choice { filter, ..Choice::default() };
            assert_eq!(choice.may_take(&begun), may, "{:?}", choice.filter);
            // What is known is so.
            assert!(may || choice.leaves_out(&exchange("POST", 0)).is_some());
        }
        let left_out = [
            Choice { methods: Methods::Safe, ..Choice::default() },
            Choice { sample: "0".parse().unwrap(), ..Choice::default() },
            Choice { limit: Some(0), ..Choice::default() },
        ];
        for mut choice in left_out {
            assert!(!choice.may_take(&begun), "{choice:?}");
        }
        // The window counts from the first that is planned, and that is none of these.
        let window = Window::new(Some(Edge::After(Duration::from_secs(5))), None);
        let mut choice = Choice { window, ..Choice::default() };
        assert!(choice.may_take(&begun));
        assert_eq!(choice.leaves_out(&exchange("POST", 10)), Some(SkipReason::OutsideTime));
        assert!(!choice.may_take(&begun));
    }

    #[test]
    fn a_limit_counts_what_is_sent() {
        let mut choice = Choice { limit: Some(2), ..Choice::default() };
        assert_eq!([(); 4].map(|()| choice.has_room()), [true, true, false, false]);
        assert!(Choice::default().has_room());
    }

    #[test]
    fn a_sample_of_connections_or_clients_takes_them_whole() {
        let of = |text: &str, client: u8, port: u16, id: u64| {
            let mut exchange = exchange("GET", 0);
            exchange.id.0 = id;
            exchange.connection.client = ([10, 0, 0, client], port).into();
            text.parse::<Sample>().unwrap().takes(&exchange)
        };
        for (text, lowest, highest) in [
            ("40", 1, 99),
            ("40:connection", 1, 99),
            ("40:client", 1, 99),
            ("0:client", 0, 0),
            ("100", 100, 100),
        ] {
            let taken = (0..100).filter(|n| of(text, *n, 1, u64::from(*n))).count();
            assert!((lowest..=highest).contains(&taken), "{text}: {taken}");
        }
        for client in 0..50 {
            assert!(
                (0..9).all(|id| of("40:connection", client, 7, id) == of("40:connection", client, 7, 99))
            );
            assert!((0..9).all(|port| of("40:client", client, port, 1) == of("40:client", client, 99, 2)));
        }
        for text in ["", "10:", "10:host", "ten", "110:client"] {
            assert!(text.parse::<Sample>().is_err(), "{text}");
        }
    }
}
