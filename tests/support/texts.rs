//! What a run leaves behind, to be searched.

use std::fs;
use std::io::Read as _;
use std::path::Path;

/// Every file below a folder: its name and text, what is compressed being decompressed.
pub fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(texts(&path));
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "zst") {
            // A killed run's segment ends in the midst of a frame: what stands before counts.
            let mut plain = Vec::new();
            let _ = zstd::stream::Decoder::new(bytes.as_slice()).unwrap().read_to_end(&mut plain);
            bytes = plain;
        }
        all.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    all
}
