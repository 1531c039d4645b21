//! Whole answers, from the bytes up.
