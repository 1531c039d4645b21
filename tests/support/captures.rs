//! Where captures with known contents lie.

use std::path::{Path, PathBuf};

use super::Skip;

/// A file of the repository's `captures/`.
pub fn bundled(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures").join(name);
    assert!(path.exists(), "{} is not there", path.display());
    path
}

/// The folder of other projects' captures, which lies beside a checkout where there is one and is never copied.
pub fn corpus() -> Result<PathBuf, Skip> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    if path.is_dir() {
        Ok(path)
    } else {
        Err(Skip::Unable("../shared/corpus is not beside this checkout".into()))
    }
}
