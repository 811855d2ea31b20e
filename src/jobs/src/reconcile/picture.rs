use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ringrift_job::{ClassName, RunId};

use crate::Found;

/// A run whose job is agreed to run on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedRun {
    /// Which.
    pub run: RunId,
    /// Its class: crash loops are counted by class.
    pub class: ClassName,
    /// How long it may run.
    pub deadline: Option<Duration>,
    /// With more processes and threads than this it is stopped, where the machine does not enforce the limit.
    pub tasks_max: Option<u64>,
}

/// What a node knows when it looks.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// What is agreed to run here, the most urgent first.
    pub wanted: &'a [WantedRun],
    /// Whether `wanted` is what is agreed now. A node that has lost touch starts nothing, stops nothing and forgets nothing,
    /// but for deadlines and runs that harm the node.
    pub wanted_is_current: bool,
    /// What the runner has.
    pub found: &'a [Found],
    /// Processes and threads of each run, where they could be counted.
    pub tasks: &'a BTreeMap<RunId, u64>,
    /// Processes of each run alone, where they could be counted.
    pub processes: &'a BTreeMap<RunId, u64>,
    /// Runs whose GPUs have been idle for too long.
    pub gpu_idle: &'a BTreeSet<RunId>,
    /// Why the node takes no new work: its disk or its memory is nearly full …
    pub closed: Option<&'a str>,
}
