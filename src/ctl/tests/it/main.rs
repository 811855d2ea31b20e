//! The program itself, run against a daemon that says what a test tells it to.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod cluster;
mod ctl;
#[path = "../../../api/tests/fake/mod.rs"]
mod fake;

mod changing;
mod events;
mod failing;
mod files;
mod showing;
mod terminal;
mod watching;
