//! The system's `ssh`: it honours `~/.ssh/config`, agents and jump hosts, and checks host keys.

mod control;
mod fault;
mod quote;
mod run;

pub use fault::{Fault, Unreached};
pub use quote::{quoted, remote_path};
pub use run::{HostKeys, Ran, Session, Ssh};
