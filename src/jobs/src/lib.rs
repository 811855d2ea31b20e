//! What runs here? Jobs as systemd units, or as plain processes where there is no systemd.

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod plain;
mod reconcile;
pub mod report;
mod runner;
mod systemd;

pub use plain::{Limitation, PlainRunner, PlainSettings, shim};
pub use reconcile::{
    Action, BackingOff, Net, Outcome, Picture, ReconcileSettings, Reconciler, Report, Reported, WantedRun,
};
pub use ringrift_job::Launch;
pub use runner::{Found, RunState, Runner, RunnerError, StopReason};
pub use systemd::SystemdRunner;
