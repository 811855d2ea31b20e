//! The program itself, run against a daemon that says what a test tells it to.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod cluster;
mod ctl;
#[allow(dead_code, reason = "made for the tests of another crate")]
#[path = "../../../gamedb/tests/it/database.rs"]
mod database;
#[path = "../../../api/tests/fake/mod.rs"]
mod fake;

mod changing;
mod components;
mod data;
mod db;
mod documentation;
mod events;
mod failing;
mod files;
mod fleet;
mod hosts;
mod jobs;
mod models;
mod over_ssh;
mod showing;
mod terminal;
mod watching;
