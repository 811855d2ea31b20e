//! Models in a cluster of real daemons: who gets them, when they count as everywhere, and whose bytes win.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agreed;
mod bed;
mod clients;
#[path = "../cluster/mod.rs"]
mod cluster;
mod programs;
mod trouble;
