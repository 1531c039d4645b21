//! What a user names as a capture, and the single files that it stands for.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CaptureError;
use super::pump::{Cancel, Pump};

/// A capture as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// A capture at an `http://` or `https://` address.
    Url(String),
    /// A file, a folder, or, where there is neither of that name, a pattern.
    Path(PathBuf),
}

impl Input {
    /// What an argument means: `-`, an address, or else a path.
    pub fn parse(argument: impl AsRef<OsStr>) -> Self {
        let argument = argument.as_ref();
        match argument.to_str() {
            Some("-") => Self::Stdin,
            Some(text) if is_url(text) => Self::Url(text.to_owned()),
            _ => Self::Path(PathBuf::from(argument)),
        }
    }
}

fn is_url(text: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// Bytes to read a capture from.
pub(super) type Stream = Box<dyn Read + Send>;

/// One stream that can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Stdin,
    Url(String),
    /// A regular file.
    File(PathBuf),
    /// A named pipe, a device: read once, like standard input.
    Special(PathBuf),
}

impl Origin {
    pub(super) fn name(&self) -> Arc<str> {
        match self {
            Self::Stdin => "standard input".into(),
            Self::Url(url) => without_credentials(url).into(),
            Self::File(path) | Self::Special(path) => path.to_string_lossy().into(),
        }
    }

    /// Whether it can be opened a second time and gives the same bytes.
    pub(super) fn reopens(&self) -> bool {
        matches!(self, Self::File(_) | Self::Url(_))
    }

    /// Opens the stream. One that can stall is read until `cancel` gives it up.
    pub(super) fn open(&self, cancel: &Cancel) -> Result<Stream, CaptureError> {
        let stream = self.open_plain()?;
        if matches!(self, Self::File(_)) {
            return Ok(stream);
        }
        let pump = Pump::start(stream, cancel.clone());
        pump.map(|pump| Box::new(pump) as Stream).map_err(|error| not_opened(self.name(), error))
    }

    /// How many bytes it has on disk, where it is a file.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::File(path) => fs::metadata(path).ok().map(|metadata| metadata.len()),
            Self::Stdin | Self::Url(_) | Self::Special(_) => None,
        }
    }

    fn open_plain(&self) -> Result<Stream, CaptureError> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) | Self::Special(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) => Err(not_opened(self.name(), error)),
            },
            #[cfg(feature = "cli")]
            Self::Url(url) => super::remote::open(url, &self.name()),
            #[cfg(not(feature = "cli"))]
            Self::Url(_) => Err(CaptureError::NoHttp { url: self.name() }),
        }
    }
}

/// The streams that one input stands for.
#[derive(Debug)]
pub(super) struct Place {
    /// The folder or pattern that led to them: what is no capture there is passed over.
    pub(super) found_in: Option<Arc<str>>,
    pub(super) origins: Vec<Origin>,
}

impl Place {
    fn single(origin: Origin) -> Self {
        Self { found_in: None, origins: vec![origin] }
    }
}

/// The streams that the inputs stand for, each once, in the order of the inputs and, within a folder or
/// pattern, of the names.
pub(super) fn expand(inputs: &[Input]) -> Result<Vec<Place>, CaptureError> {
    let mut seen = HashSet::new();
    if inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(CaptureError::StdinTwice);
    }
    let mut is_new = |origin: &Origin| match origin {
        Origin::File(path) => seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())),
        _ => true,
    };
    let expanded = inputs.iter().map(|input| {
        let mut place = match input {
            Input::Stdin => Place::single(Origin::Stdin),
            Input::Url(url) => Place::single(Origin::Url(url.clone())),
            Input::Path(path) => expand_path(path)?,
        };
        place.origins.retain(&mut is_new);
        Ok(place)
    });
    expanded.collect()
}

fn expand_path(path: &Path) -> Result<Place, CaptureError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => folder(path),
        Ok(metadata) => {
            let path = path.to_path_buf();
            Ok(Place::single(if metadata.is_file() { Origin::File(path) } else { Origin::Special(path) }))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => pattern(path),
        Err(error) => Err(not_opened(path.to_string_lossy().into(), error)),
    }
}

fn folder(path: &Path) -> Result<Place, CaptureError> {
    let name: Arc<str> = path.to_string_lossy().into();
    let unreadable = |error| not_opened(Arc::clone(&name), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        paths.push(entry.map_err(unreadable)?.path());
    }
    among(name, paths)
}

/// The regular files among these paths; opening a pipe that nobody writes to would wait for ever.
fn among(name: Arc<str>, mut paths: Vec<PathBuf>) -> Result<Place, CaptureError> {
    paths.retain(|path| path.is_file());
    paths.sort();
    if paths.is_empty() {
        return Err(CaptureError::NoCaptures { file: name, files: 0, example: None });
    }
    Ok(Place { found_in: Some(name), origins: paths.into_iter().map(Origin::File).collect() })
}

#[cfg(feature = "cli")]
fn pattern(path: &Path) -> Result<Place, CaptureError> {
    let name: Arc<str> = path.to_string_lossy().into();
    if !name.contains(['*', '?', '[']) {
        return Err(CaptureError::NotFound { file: name });
    }
    let paths = glob::glob(&name)
        .map_err(|error| CaptureError::BadPattern { pattern: Arc::clone(&name), reason: error.msg })?
        .filter_map(Result::ok)
        .collect();
    among(name, paths)
}

#[cfg(not(feature = "cli"))]
fn pattern(path: &Path) -> Result<Place, CaptureError> {
    Err(CaptureError::NotFound { file: path.to_string_lossy().into() })
}

fn not_opened(file: Arc<str>, source: io::Error) -> CaptureError {
    match source.kind() {
        ErrorKind::NotFound => CaptureError::NotFound { file },
        ErrorKind::PermissionDenied => CaptureError::PermissionDenied { file },
        _ => CaptureError::Io { file, offset: 0, source },
    }
}

/// An address fit for messages: no user, password or query, which often holds a signature.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_told_apart() {
        assert_eq!(Input::parse("-"), Input::Stdin);
        assert_eq!(Input::parse("HTTPS://host/a.pcap"), Input::Url("HTTPS://host/a.pcap".into()));
        assert_eq!(Input::parse("./-"), Input::Path("./-".into()));
        assert_eq!(Input::parse("http:/a"), Input::Path("http:/a".into()));
        assert_eq!(Input::parse("é"), Input::Path("é".into()));
    }

    #[test]
    fn messages_hold_no_credentials() {
        for (url, shown) in [
            ("https://host:8443/a/b.pcap", "https://host:8443/a/b.pcap"),
            ("https://user:pass@host/a.pcap?X-Signature=1#x", "https://host/a.pcap"),
            ("http://a@b@host", "http://host"),
            ("http://host/a@b", "http://host/a@b"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
