//! Access logs: what a server says that it was asked.

use std::fs;
use std::path::Path;

/// One line of a log in the common "combined" form, which gunicorn and nginx share:
/// `client - - [time] "request line" status length "referer" "user agent"`, and for the servers of this harness
/// `"client port"` at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLine {
    pub client: String,
    pub time: String,
    /// As logged: `GET /get?n=1 HTTP/1.1`. Gunicorn decodes nothing here.
    pub request: String,
    pub status: u16,
    /// Bytes of the answer's body; `-` counts as 0.
    pub length: u64,
    pub referer: String,
    pub agent: String,
    /// Tells the connections of one client apart.
    pub client_port: Option<u16>,
}

impl AccessLine {
    /// Reads one line; `None` if it is not of that form.
    pub fn parse(line: &str) -> Option<Self> {
        let (client, rest) = line.split_once(' ')?;
        let (_, rest) = rest.split_once('[')?;
        let (time, rest) = rest.split_once("] \"")?;
        // The request line may hold quotes of its own: it ends where what follows makes sense.
        rest.match_indices("\" ").find_map(|(end, _)| {
            Some(Self {
                client: client.into(),
                time: time.into(),
                request: rest[..end].into(),
                ..Self::tail(&rest[end + 2..])?
            })
        })
    }

    /// `status length "referer" "user agent"` and perhaps `"port"`.
    fn tail(text: &str) -> Option<Self> {
        let (status, rest) = text.split_once(' ')?;
        let (length, rest) = rest.split_once(" \"")?;
        let mut quoted = rest.strip_suffix('"')?.split("\" \"");
        Some(Self {
            status: status.parse().ok()?,
            length: if length == "-" { 0 } else { length.parse().ok()? },
            referer: quoted.next()?.into(),
            agent: quoted.next()?.into(),
            client_port: quoted.next().and_then(|port| port.parse().ok()),
            ..Self::default()
        })
    }

    pub fn method(&self) -> &str {
        self.request.split(' ').next().unwrap_or_default()
    }

    /// What stands between the method and the version.
    pub fn target(&self) -> &str {
        let after_method = self.request.split_once(' ').map_or("", |(_, rest)| rest);
        after_method.rsplit_once(' ').map_or(after_method, |(target, _)| target)
    }
}

/// Reads a whole log, and panics at a line that is not of the form.
pub fn read(file: &Path) -> Vec<AccessLine> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines()
        .map(|line| AccessLine::parse(line).unwrap_or_else(|| panic!("{}: {line:?}", file.display())))
        .collect()
}
