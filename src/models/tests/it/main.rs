//! The server as its clients meet it: over real connections, by programs that nobody here wrote, and by those who mean no good.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod access;
mod conformance;
mod files;
mod hostile;
mod rig;
mod slow;
mod swarm;
mod tools;
mod upload;
