//! Files of a run's folder: each is whole or absent, and private.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::record::advice;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot write {}: {source}{}", path.display(), advice(source))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A renderer failed.
    #[error("cannot render {file}: {reason}")]
    Render {
        /// The file's name.
        file: &'static str,
        /// What it said.
        reason: String,
    },
}

/// A file that takes its name when it is complete, so that no reader meets half of one, and a former one
/// stays until then. Mode 0600.
pub(super) struct Pending {
    path: PathBuf,
    temporary: PathBuf,
    published: bool,
}

/// What was not published leaves nothing behind.
impl Drop for Pending {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed stays, hidden by its name.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Pending {
    pub(super) fn create(folder: &Path, name: &str) -> Result<(Self, BufWriter<File>), ReportError> {
        let (path, temporary) = (folder.join(name), folder.join(format!(".{name}.partial")));
        let pending = Self { path, temporary, published: false };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&pending.temporary).map_err(|source| pending.error(source))?;
        Ok((pending, BufWriter::with_capacity(1 << 16, file)))
    }

    /// Gives the file its name.
    pub(super) fn publish(mut self, mut out: BufWriter<File>) -> Result<(), ReportError> {
        out.flush()
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .map_err(|source| self.error(source))?;
        self.published = true;
        Ok(())
    }

    pub(super) fn error(&self, source: io::Error) -> ReportError {
        ReportError::Io { path: self.path.clone(), source }
    }
}

/// Writes a file that is complete already.
pub(super) fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), ReportError> {
    let (pending, mut out) = Pending::create(folder, name)?;
    out.write_all(content).map_err(|source| pending.error(source))?;
    pending.publish(out)
}
