//! Sections of plain lines, laid side by side as bytes: most lines of two of them are the same, and only others are
//! split.

use super::super::excerpt::first_difference;
use crate::http::head::first_field;

/// Whether two sections have the same names in one order, and `goes_on` says so of each name that has another value in
/// one than in the other.
pub(in crate::diff) fn have_one_order<'l>(
    mut ours: &'l [u8],
    mut theirs: &[u8],
    mut goes_on: impl FnMut(&'l [u8]) -> bool,
) -> bool {
    loop {
        let same = first_difference(ours, theirs);
        if same == ours.len() && same == theirs.len() {
            return true;
        }
        let start = memchr::memrchr(b'\n', &ours[..same]).map_or(0, |lf| lf + 1);
        let (line1, line2) = (first_field(&ours[start..]), first_field(&theirs[start..]));
        let (Some(((name, a), rest1)), Some(((other, b), rest2))) = (line1, line2) else { return false };
        if name != other || (a != b && !goes_on(name)) {
            return false;
        }
        (ours, theirs) = (rest1, rest2);
    }
}
