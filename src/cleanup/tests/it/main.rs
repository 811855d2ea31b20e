//! What goes and what stays, on real folders.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bed;
mod claims;
mod property;
mod thresholds;
