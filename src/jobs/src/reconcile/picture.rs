use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ringrift_job::{Class, ClassName, RunId, Seconds};
use ringrift_state::Job;

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

impl WantedRun {
    /// The run that a job of this node is, with the times and limits of the class as this node has it.
    pub fn of(job: &Job, class: Option<&Class>) -> Option<Self> {
        let own = (job.timeout_s > 0).then(|| Duration::from_secs(job.timeout_s));
        let limits = class.map(|class| job.limits.or(&class.limits));
        Some(Self {
            run: job.run()?,
            class: job.class.clone(),
            deadline: own.or_else(|| class?.deadline.map(Seconds::duration)),
            tasks_max: limits.and_then(|limits| limits.tasks_max),
        })
    }
}

/// What a node knows when it looks.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// What is agreed to run here, the most urgent first.
    pub wanted: &'a [WantedRun],
    /// Whether `wanted` is what is agreed now. A node that has lost touch starts nothing, stops nothing and forgets nothing,
    /// but for deadlines and runs that harm the node.
    pub wanted_is_current: bool,
    /// How many runs are agreed to be here, those that shall stop among them: nobody reckons with more. As long as there are
    /// others, which came to be another node's while this one had lost touch, none starts beyond so many.
    pub held: usize,
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
