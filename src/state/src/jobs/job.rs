use std::cmp::Reverse;
use std::collections::BTreeSet;

use ringrift_config::NodeId;
use ringrift_job::{ClassName, GameConfig, JobId, Kind, Limits, Params, RunId};
use serde::{Deserialize, Serialize};

use super::{Assignment, AttemptRecord, Holder, Phase};

/// Where a job came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Somebody submitted it.
    #[default]
    Operator,
    /// It came into the work queue.
    Work,
    /// The scheduler made it for an idle slot.
    Fill,
}

/// A job before it is in the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// Its name, made by the proposer: proposed twice, it is one job.
    pub id: JobId,
    /// What runs.
    pub class: ClassName,
    /// What that class is for.
    pub kind: Kind,
    /// The values for the class's parameters, checked and completed.
    #[serde(default)]
    pub params: Params,
    /// The game that it is about, if any.
    #[serde(default)]
    pub game: Option<GameConfig>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// What must have succeeded before it starts: jobs that there are, or earlier ones of the same batch.
    #[serde(default)]
    pub depends_on: Vec<JobId>,
    /// How long an attempt may take, in seconds; 0 for the class's deadline.
    #[serde(default)]
    pub timeout_s: u64,
    /// How often it is tried, from 1.
    pub max_attempts: u32,
    /// The only node that may run it.
    #[serde(default)]
    pub pinned: Option<NodeId>,
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// Its own limits, over the class's.
    #[serde(default)]
    pub limits: Limits,
}

impl NewJob {
    /// How many one command may hold.
    pub const MAX_BATCH: usize = 1024;
    /// The largest parameters, in bytes of names and values.
    pub const MAX_PARAMS: usize = 4096;
    /// How many jobs one may depend on.
    pub const MAX_DEPENDENCIES: usize = 32;
    /// The most attempts that may be asked for.
    pub const MAX_ATTEMPTS: u32 = 20;
}

/// That somebody does not want a job any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Who.
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub at_ms: u64,
}

/// What is agreed on one job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What runs.
    pub class: ClassName,
    /// What that class is for.
    pub kind: Kind,
    /// The values for the class's parameters, checked and completed.
    #[serde(default)]
    pub params: Params,
    /// The game that it is about, if any.
    #[serde(default)]
    pub game: Option<GameConfig>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
    /// What must have succeeded before it starts.
    #[serde(default)]
    pub depends_on: Vec<JobId>,
    /// How long an attempt may take, in seconds; 0 for the class's deadline.
    #[serde(default)]
    pub timeout_s: u64,
    /// How many failed attempts end it.
    pub max_attempts: u32,
    /// The only node that may run it.
    #[serde(default)]
    pub pinned: Option<NodeId>,
    /// Nodes that gave it back. Others are tried first.
    #[serde(default)]
    pub avoid: BTreeSet<NodeId>,
    /// Where it came from.
    #[serde(default)]
    pub origin: Origin,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub submitted_at_ms: u64,
    /// Log index of the entry that brought it: the queue's order among equal priorities.
    #[serde(default)]
    pub submitted_index: u64,
    /// Its place in that entry.
    #[serde(default)]
    pub submitted_position: u32,
    /// Log index of the entry that changed it last.
    #[serde(default)]
    pub changed_index: u64,
    /// Its own limits, over the class's.
    #[serde(default)]
    pub limits: Limits,
    /// How far it got.
    pub phase: Phase,
    /// The current or last attempt; 0 before the first. It never goes back, and an attempt is never begun twice.
    #[serde(default)]
    pub attempt: u32,
    /// How many attempts failed and count against `max_attempts`. One that was moved away or could not be started is none.
    #[serde(default)]
    pub failures: u32,
    /// How many attempts in a row did not work out: how long the scheduler waits before the next, by its own clock.
    #[serde(default)]
    pub retry: u32,
    /// The latest attempts that are over, oldest first.
    #[serde(default)]
    pub attempts: Vec<AttemptRecord>,
    /// That somebody does not want it any more: its run is being stopped.
    #[serde(default)]
    pub cancel: Option<Cancel>,
    /// Why its run is being stopped to go elsewhere, if it is.
    #[serde(default)]
    pub recall: Option<String>,
    /// Why it is as it is, for people.
    #[serde(default)]
    pub reason: String,
}

impl Job {
    /// How many attempts that are over are remembered.
    pub const MAX_HISTORY: usize = 8;
    /// How many nodes that gave it back are remembered.
    pub const MAX_AVOID: usize = 32;
    /// So many attempts in a row that nobody could even start end a job: what it has met by then, it will meet again.
    pub const MAX_RETRIES: u32 = 100;
    /// The longest name of a person or a worker, in bytes.
    pub const MAX_BY: usize = 128;
    /// The longest reason, in bytes.
    pub const MAX_REASON: usize = 512;

    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Whether it has not ended.
    pub fn is_live(&self) -> bool {
        !self.is_ended()
    }

    /// Whether nobody has it and somebody may.
    pub fn is_pending(&self) -> bool {
        self.phase == Phase::Pending
    }

    /// What the current attempt was given; none unless it is placed or runs.
    pub fn assignment(&self) -> Option<&Assignment> {
        match &self.phase {
            Phase::Placed { assignment } | Phase::Running { assignment, .. } => Some(assignment),
            Phase::Pending | Phase::Ended { .. } => None,
        }
    }

    /// Who has the current attempt.
    pub fn holder(&self) -> Option<&Holder> {
        self.assignment().map(|assignment| &assignment.holder)
    }

    /// The run of the current attempt; none unless it is placed or runs.
    pub fn run(&self) -> Option<RunId> {
        self.assignment().map(|_| RunId { kind: self.kind, job: self.id.clone(), attempt: self.attempt })
    }

    /// Whether the holder shall run it: it is placed or runs, and nobody wants it stopped.
    pub fn is_wanted(&self) -> bool {
        self.assignment().is_some() && self.cancel.is_none() && self.recall.is_none()
    }

    /// Its place in the queue: what is smaller goes first.
    pub fn queue_order(&self) -> (bool, Reverse<i32>, u64, u32) {
        (self.origin == Origin::Fill, Reverse(self.priority), self.submitted_index, self.submitted_position)
    }
}
