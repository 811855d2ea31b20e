//! What became of jobs.

use std::collections::{BTreeMap, BTreeSet};

use ringrift_config::NodeId;
use ringrift_job::{JobId, RunId};

use super::Witness;

#[derive(Default)]
pub(super) struct Jobs {
    /// Those that somebody was told will be done.
    asked: BTreeSet<JobId>,
    /// Where each attempt was started first.
    started: BTreeMap<RunId, NodeId>,
}

impl Witness {
    /// Whoever asked for these jobs was answered that they will be done, or that they will not.
    pub(crate) fn asked(&self, jobs: Vec<JobId>, done: bool) {
        let mut seen = self.0.lock().unwrap();
        if done {
            seen.jobs.asked.extend(jobs);
        } else {
            seen.broken(|| format!("{jobs:?} were refused"));
        }
    }

    /// All jobs that somebody was told will be done.
    pub(crate) fn jobs(&self) -> BTreeSet<JobId> {
        self.0.lock().unwrap().jobs.asked.clone()
    }

    /// How many attempts were started.
    pub(crate) fn attempts(&self) -> usize {
        self.0.lock().unwrap().jobs.started.len()
    }

    /// A worker started a run; the error is what must not be there on its machine.
    pub(crate) fn run_started(&self, node: &NodeId, run: &RunId, started: Result<(), String>) {
        let mut seen = self.0.lock().unwrap();
        if let Err(wrong) = started {
            seen.broken(|| format!("on {node} {wrong}"));
        }
        // A machine that had no power begins again.
        let first = seen.jobs.started.entry(run.clone()).or_insert_with(|| node.clone()).clone();
        if first != *node {
            seen.broken(|| format!("{run} was started on {first} and on {node}"));
        }
    }
}
