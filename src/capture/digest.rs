//! A digest by which a capture is known again.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::input::Origin;
use crate::packet::Packet;

/// Bytes of each block that is looked at.
const BLOCK: u64 = 64 << 10;
/// How many blocks of a file are looked at, evenly spread, its first and its last among them.
const BLOCKS: u64 = 64;

/// A digest of what the streams are, in their order, each with the packet that it stands on where it is
/// open. Of a file go into it the size and 64 blocks of 64 KiB, so that a capture of any size costs four
/// megabytes; of a stream that is read once, its first packet with its time. That one is waited for in any
/// case before anything is sent: more of a pipe that trickles would hold the run up.
pub(super) fn digest<'o>(
    origins: impl Iterator<Item = (&'o Origin, Option<Packet<'o>>)>,
) -> io::Result<String> {
    let mut digest = Sha256::new();
    for (origin, first) in origins {
        match origin {
            Origin::File(path) => add_file(&mut digest, path)?,
            Origin::Stdin | Origin::Special(_) => add_stream(&mut digest, first.as_ref()),
            Origin::Url(_) => digest.update(format!("address {}\n", origin.name())),
        }
    }
    // The first half of it is enough to tell captures apart.
    let half = digest.finalize().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte));
    Ok(format!("{half:032x}"))
}

fn add_stream(digest: &mut Sha256, first: Option<&Packet<'_>>) {
    digest.update(b"stream\n");
    if let Some(packet) = first {
        let Packet { at, link, original_len, data, .. } = packet;
        digest.update(format!("{} {link:?} {original_len} {}\n", at.as_nanos(), data.len()));
        digest.update(data);
    }
}

fn add_file(digest: &mut Sha256, path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    digest.update(format!("file {size}\n"));
    let last = size.saturating_sub(BLOCK);
    let mut block = Vec::new();
    for n in 0..BLOCKS {
        // In 128 bits, since sizes may be anything.
        let at = u128::from(last) * u128::from(n) / u128::from(BLOCKS - 1);
        file.seek(SeekFrom::Start(u64::try_from(at).unwrap_or(last)))?;
        block.clear();
        file.by_ref().take(BLOCK).read_to_end(&mut block)?;
        digest.update(&block);
        if size <= BLOCK {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_content_size_and_order_and_not_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            Origin::File(folder.path().join(name))
        };
        let long = vec![7; 300_000];
        let (mut other_end, mut other_start) = (long.clone(), long.clone());
        other_end[299_999] = 8;
        other_start[0] = 8;
        let a = file("a", &long);
        let of = |origins: &[&Origin]| digest(origins.iter().map(|origin| (*origin, None))).unwrap();
        assert_eq!(of(&[&a]), of(&[&file("b", &long)]));
        let others = [file("c", &other_end), file("d", &other_start), file("e", &long[1..]), file("f", b"")];
        for other in &others {
            assert_ne!(of(&[&a]), of(&[other]), "{other:?}");
        }
        assert_ne!(of(&[&a, &others[0]]), of(&[&others[0], &a]));
        assert_eq!(of(&[&Origin::Stdin]).len(), 32);
    }
}
