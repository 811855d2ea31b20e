//! Clusters in virtual time: many node hours of loss, freezes and partitions in a minute.
//!
//! `RINGRIFT_SIMULATION=N` runs N times as many seeds; what is printed is shown with `--nocapture`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod convergence;
mod deaths;
mod identity;
mod large;
mod node;
mod partitions;
mod slowness;
mod world;

/// `seeds`, times what the environment asks for.
fn seeds(seeds: u64) -> std::ops::Range<u64> {
    let times = std::env::var("RINGRIFT_SIMULATION").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    0..seeds * times
}
