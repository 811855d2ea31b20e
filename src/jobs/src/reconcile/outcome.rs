use ringrift_job::{Ending, RunId};

use super::Net;
use crate::StopReason;

/// What to do, what to tell, and what has gone off.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// To be done by the runner. Each start must be answered by [`Reconciler::answer`].
    pub actions: Vec<Action>,
    /// To be told to the leader, again and again until what is agreed shows it.
    pub reports: Vec<Report>,
    /// For events and metrics: each once, when it begins.
    pub nets: Vec<Net>,
}

/// What a runner is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start(RunId),
    /// Stop it.
    Stop(RunId, StopReason),
    /// Remove what is kept of it.
    Forget(RunId),
}

/// How a wanted run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub run: RunId,
    /// How it is.
    pub what: Reported,
}

/// What is reported of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// It runs.
    Started {
        /// Since when by the wall clock, in milliseconds since the epoch.
        since_ms: u64,
    },
    /// It is over.
    Ended {
        /// How it ended.
        ending: Ending,
        /// Why the node stopped it of its own accord; such a job should be tried on another node.
        cause: Option<String>,
    },
    /// It was not started, and never will be here.
    Refused {
        /// Why, as a sentence.
        reason: String,
    },
}
