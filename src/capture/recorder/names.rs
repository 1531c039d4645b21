//! The names of a rotated set: `x.pcapng.gz` becomes `x_00001_20261122T120750Z.pcapng.gz` and so on, so
//! that the order of names is that of time.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::time::Timestamp;

#[derive(Debug)]
pub(super) struct Names {
    folder: PathBuf,
    /// What stands before the number.
    stem: String,
    /// What stands behind the time, from the first dot on.
    extension: String,
    last: Cell<u64>,
}

impl Names {
    pub(super) fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let dot = name.get(1..).and_then(|rest| rest.find('.')).map_or(name.len(), |at| at + 1);
        let (stem, extension) = name.split_at(dot);
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let names =
            Self { folder, stem: stem.to_owned(), extension: extension.to_owned(), last: Cell::new(0) };
        let last = names.existing().iter().filter_map(|path| names.number(path)).max();
        names.last.set(last.unwrap_or(0));
        names
    }

    /// A new name.
    pub(super) fn next(&self, now: Timestamp) -> PathBuf {
        self.last.set(self.last.get() + 1);
        let time: String = now.to_string().chars().take(19).filter(char::is_ascii_alphanumeric).collect();
        self.folder.join(format!("{}_{:05}_{time}Z{}", self.stem, self.last.get(), self.extension))
    }

    /// The files of this set that there are, in order: an earlier run may have left some.
    pub(super) fn existing(&self) -> Vec<PathBuf> {
        let folder = if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .map(|entry| self.folder.join(entry.file_name()))
            .filter_map(|path| Some((self.number(&path)?, path)))
            .collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }

    /// The number in a name of this set; `None` for any other file.
    fn number(&self, path: &Path) -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        let between = name.strip_prefix(&self.stem)?.strip_prefix('_')?.strip_suffix(&self.extension)?;
        let (number, time) = between.split_once('_')?;
        let is_time = time.len() == 16 && time.ends_with('Z') && time.as_bytes().get(8) == Some(&b'T');
        let digits = number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_time && digits { number.parse().ok() } else { None }
    }
}
