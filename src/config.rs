//! What the user's words mean, resolved once.
//!
//! The command line is taken as typed; here each word becomes the value that the stages work with,
//! or a [`ConfigError`] that says which word, why, and what to write instead.

mod rules;
mod target;
mod tls_of_rules;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::capture::{Input, PacketFilter};
use crate::diff::Rules;
use crate::record::Also;
use crate::replay::Credentials;
use crate::report::{Accepted, FailOn};
use crate::route::HostEdit;
use crate::time::Timestamp;

pub use rules::{Routing, RulesFault, Said, UserEdits, istio_host_edit, routing, user_edits};
pub use target::{Connecting, Target};
pub use tls_of_rules::tls_words;

/// A word of the user's that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{option} `{given}`: {problem}")]
pub struct ConfigError {
    /// The option or argument.
    pub option: &'static str,
    /// What was typed.
    pub given: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl ConfigError {
    /// An error about an option's value.
    pub fn new(option: &'static str, given: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { option, given: given.into(), problem: problem.into() }
    }
}

/// What is redacted beside what is known to be a secret.
///
/// # Errors
/// When a word is neither a name nor a regular expression.
pub fn redact_also(words: &[String]) -> Result<Also, ConfigError> {
    Also::parse(words).map_err(|error| ConfigError::new("--redact-also", error.word, error.reason))
}

/// The captures that the arguments name.
#[must_use]
pub fn inputs(captures: &[String]) -> Vec<Input> {
    captures.iter().map(Input::parse).collect()
}

/// The filter that an expression of pcap-filter(7) stands for.
///
/// # Errors
/// When libpcap refuses it, or there is none.
pub fn packet_filter(expression: &str) -> Result<PacketFilter, ConfigError> {
    PacketFilter::new(expression).map_err(|error| ConfigError::new("--bpf", expression, error.to_string()))
}

/// The rules of a file for what differs, and a digest of its text; those that expired before today allow nothing.
///
/// # Errors
/// When the file cannot be read, or says what cannot be meant: with the line.
pub fn diff_rules(path: &Path) -> Result<(Rules, String), ConfigError> {
    let error = |problem: String| ConfigError::new("--rules", path.display().to_string(), problem);
    let text = text_of(path).map_err(|source| error(format!("cannot be read: {source}")))?;
    let rules = Rules::parse(&text, today()).map_err(|wrong| error(wrong.to_string()))?;
    let mut digest = String::from("sha256:");
    for byte in Sha256::digest(&text) {
        // Writing to a string does not fail.
        let _ = write!(digest, "{byte:02x}");
    }
    Ok((rules, digest))
}

/// When a run fails.
///
/// # Errors
/// When it is no condition.
pub fn fail_on(condition: &str) -> Result<FailOn, ConfigError> {
    FailOn::new(condition).map_err(|error| ConfigError::new("--fail-on", condition, error.to_string()))
}

/// Differences that are accepted.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn accepted(path: &Path) -> Result<Accepted, ConfigError> {
    accepted_or_none(path)?.ok_or_else(|| {
        ConfigError::new(
            "--accepted",
            path.display().to_string(),
            "there is no such file; `report --accept` makes one",
        )
    })
}

/// The same, where there may be no such file yet.
///
/// # Errors
/// When the file cannot be read or understood.
pub fn accepted_or_none(path: &Path) -> Result<Option<Accepted>, ConfigError> {
    let name = path.display().to_string();
    let error = |problem: String| ConfigError::new("accepted differences", name.clone(), problem);
    let text = match text_of(path) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|source| error(format!("cannot be read: {source}")))?,
    };
    Accepted::parse(&name, &text, today()).map(Some).map_err(|wrong| error(wrong.to_string()))
}

/// More than any file has that a person writes for us, or that we wrote: a device has no end.
const MOST_TEXT: u64 = 64 << 20;

/// The text of a file of the user's.
pub(crate) fn text_of(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_TEXT {
        return Err(io::Error::other(format!("it has more than {} MiB", MOST_TEXT >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("it is no text: byte {place} is not UTF-8"))
    })
}

/// The day in UTC.
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A value of a type that reads itself from text.
///
/// # Errors
/// When the text is no such value.
pub fn parse<T: FromStr<Err: std::fmt::Display>>(
    option: &'static str,
    given: &str,
) -> Result<T, ConfigError> {
    given.parse().map_err(|error: T::Err| ConfigError::new(option, given, error.to_string()))
}

/// What becomes of the Host: a literal wins over a suffix, and the suffix `none` is none.
///
/// # Errors
/// When it could not stand in a header field.
pub fn host_edit(suffix: &str, literal: Option<&str>) -> Result<HostEdit, ConfigError> {
    let (option, text) = literal.map_or(("--host-suffix", suffix), |host| ("--host", host));
    if let Some(bad) = text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return Err(ConfigError::new(option, text, format!("a host has no {bad:?} in it")));
    }
    Ok(match (literal, suffix) {
        (Some(host), _) => HostEdit::Literal(host.into()),
        (None, "none" | "") => HostEdit::None,
        (None, suffix) => HostEdit::Suffix(suffix.into()),
    })
}

/// What becomes of captured credentials: `pass`, `strip` or `replace=FILE`.
///
/// # Errors
/// When it is none of these, or the file cannot be read or says nothing.
pub fn credentials(given: &str) -> Result<Credentials, ConfigError> {
    let error = |problem: String| ConfigError::new("--credentials", given, problem);
    match (given, given.strip_prefix("replace=")) {
        ("pass", _) => Ok(Credentials::Pass),
        ("strip", _) => Ok(Credentials::Strip),
        (_, Some(file)) => {
            let text = text_of(Path::new(file)).map_err(|e| error(format!("cannot read {file}: {e}")))?;
            Credentials::replacing(&text).map_err(|e| error(e.to_string()))
        }
        _ => Err(error("write pass, strip, or replace=FILE".to_owned())),
    }
}

/// The run's folder where none is given: `reports/<capture>-<UTC time>`, made of the first capture's
/// name without folder and extensions.
#[must_use]
pub fn default_folder(capture: &str, now: Timestamp) -> PathBuf {
    // What follows the path of an address may be a secret.
    let path =
        if capture.contains("://") { capture.split(['?', '#']).next().unwrap_or_default() } else { capture };
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or_default();
    let plain: String = stem
        .chars()
        .map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .take(64)
        .collect();
    let name = match plain.trim_matches('-') {
        "" if capture == "-" => "stdin",
        "" => "capture",
        name => name,
    };
    let time: String = now.to_string().chars().take(19).filter(char::is_ascii_alphanumeric).collect();
    Path::new("reports").join(format!("{name}-{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_capture_and_the_time() {
        let now = "2026-11-22T12:07:50.5Z".parse().unwrap();
        for (capture, name) in [
            ("captures/httpbin-v1.pcap", "httpbin-v1"),
            ("a/b.pcap.gz", "b"),
            ("-", "stdin"),
            ("rotated/*.pcap*", "capture"),
            ("http://host/day one.pcapng?x=1", "day-one"),
            ("..", "capture"),
            ("http://me:pw@host/?token=SECRET", "me-pw-host"),
            ("http://host/a.pcap?sig=SECRET", "a"),
        ] {
            let folder = default_folder(capture, now);
            assert_eq!(folder, Path::new("reports").join(format!("{name}-20261122T120750Z")), "{capture}");
        }
    }

    #[test]
    fn a_host_edit_is_a_suffix_none_or_a_literal() {
        assert_eq!(host_edit("-v2", None).unwrap(), HostEdit::Suffix("-v2".into()));
        assert_eq!(host_edit("none", None).unwrap(), HostEdit::None);
        assert_eq!(host_edit("-shadow", Some("v2:80")).unwrap(), HostEdit::Literal("v2:80".into()));
        assert!(host_edit("-sha\r\ndow", None).is_err());
        assert!(host_edit("-shadow", Some("a b")).is_err());
    }
}
