//! Databases made as the cluster's programs make them, damaged in many ways, and what becomes of them.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod archiving;
mod checking;
mod copying;
mod database;
mod gathering;
mod repairing;
mod restoring;
mod writer;
