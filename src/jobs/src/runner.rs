use async_trait::async_trait;
use ringrift_job::{Ending, Limits, RunId, Usage};
use serde::{Deserialize, Serialize};

use crate::Launch;

/// Starts, limits, watches and stops runs. What it started outlives the daemon; it finds it again by name.
///
/// Every method may be called again after a failure or a restart, and then does what is left to do.
#[async_trait]
pub trait Runner: Send + Sync {
    /// `systemd` or `plain`.
    fn name(&self) -> &'static str;

    /// All runs of ours that this machine knows: those that run, and those that have ended and were not forgotten.
    async fn list(&self) -> Result<Vec<Found>, RunnerError>;

    /// Starts a run. One that is there already, in whatever state, is left as it is.
    async fn start(&self, launch: &Launch) -> Result<(), RunnerError>;

    /// Begins to stop a run: SIGTERM to its main process, SIGKILL to all of it after the grace period. Returns at once; a run
    /// that is stopping or has ended is left as it is. `why` is told by the ending.
    async fn stop(&self, run: &RunId, why: StopReason) -> Result<(), RunnerError>;

    /// Changes the limits of a run, at once and until it ends.
    async fn set_limits(&self, run: &RunId, limits: &Limits) -> Result<(), RunnerError>;

    /// What a run uses now.
    async fn usage(&self, run: &RunId) -> Result<Usage, RunnerError>;

    /// Removes what is kept of a run that has ended. One that runs is left alone.
    async fn forget(&self, run: &RunId) -> Result<(), RunnerError>;

    /// Returns when a run may have changed its state. May return once too often.
    async fn changed(&self);
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// Nobody wants it here any more.
    Unwanted,
    /// Its deadline has passed.
    Deadline,
}

/// A run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub run: RunId,
    /// How it is.
    pub state: RunState,
}

/// How a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// On its way up.
    Starting,
    /// It runs.
    Running {
        /// Since when by the wall clock, in milliseconds since the epoch; shown, never compared.
        since_ms: u64,
        /// How long it has run, by the monotonic clock, in milliseconds.
        ran_ms: u64,
        /// Its main process.
        pid: u32,
    },
    /// It was told to stop.
    Stopping,
    /// It is over.
    Ended(Ending),
}

/// Why a runner did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunnerError {
    /// The machine lacks something; the sentence says what and how to get it.
    #[error("{0}")]
    Unavailable(String),
    /// It is not allowed.
    #[error("not allowed to {deed} {run}: {reason}")]
    Denied {
        /// What was tried.
        deed: &'static str,
        /// On which run.
        run: RunId,
        /// What the system said, and what to do.
        reason: String,
    },
    /// There is no such run.
    #[error("{0} is not known here")]
    Unknown(RunId),
    /// Anything else.
    #[error("cannot {deed} {run}: {reason}")]
    Failed {
        /// What was tried.
        deed: &'static str,
        /// On which run.
        run: RunId,
        /// What went wrong.
        reason: String,
    },
}
