//! Swarms in virtual time, against the limits of arithmetic.
//!
//! `RINGRIFT_SIMULATION=N` runs N times as many seeds; what is printed is shown with `--nocapture`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod fan_out;
mod sim;

/// `seeds`, times what the environment asks for.
fn seeds(seeds: u64) -> std::ops::Range<u64> {
    let times = std::env::var("RINGRIFT_SIMULATION").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    0..seeds * times
}
