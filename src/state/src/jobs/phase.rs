use std::fmt;

use ringrift_config::NodeId;
use ringrift_job::Ending;
use serde::{Deserialize, Serialize};

/// Who has an attempt at a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    /// A node's daemon: it starts the run and says how it ended.
    Node(NodeId),
    /// A program that came and asked for work. It has the job until its lease is over.
    Pull {
        /// What it calls itself.
        worker: String,
        /// The node that it says it is on, if that is one of ours.
        #[serde(default)]
        node: Option<NodeId>,
    },
}

impl Holder {
    /// The node whose daemon runs the attempt; none for a pull worker, whose process no daemon started.
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Node(node) => Some(node),
            Self::Pull { .. } => None,
        }
    }

    /// The node where the attempt uses up something, as far as that is known.
    pub fn place(&self) -> Option<&NodeId> {
        match self {
            Self::Node(node) => Some(node),
            Self::Pull { node, .. } => node.as_ref(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "{node}"),
            Self::Pull { worker, node: None } => write!(f, "the worker {worker}"),
            Self::Pull { worker, node: Some(node) } => write!(f, "the worker {worker} on {node}"),
        }
    }
}

/// What an attempt was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// Who has it.
    pub holder: Holder,
    /// The GPUs that it may use, by their indices on the node.
    #[serde(default)]
    pub gpus: Vec<u32>,
    /// How much of each of them, in percent; 100 is a whole one.
    #[serde(default)]
    pub gpu_share: u32,
    /// Bytes of main memory that are set aside for it.
    #[serde(default)]
    pub memory: u64,
}

/// How far a job got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nobody has it.
    Pending,
    /// Somebody shall run it, and has not said yet that it runs.
    Placed {
        /// Who, and with what.
        assignment: Assignment,
    },
    /// It runs.
    Running {
        /// Where, and with what.
        assignment: Assignment,
        /// Wall clock of its start, milliseconds since the epoch; shown, never compared.
        since_ms: u64,
    },
    /// It is over, for ever.
    Ended {
        /// How.
        outcome: JobOutcome,
        /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
        at_ms: u64,
        /// How its last attempt ended, if one did and somebody saw it.
        #[serde(default)]
        ending: Option<Ending>,
    },
}

impl Phase {
    /// The name that clients read: `pending`, `placed`, `running`, or the outcome's.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Placed { .. } => "placed",
            Self::Running { .. } => "running",
            Self::Ended { outcome, .. } => outcome.as_str(),
        }
    }
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// It did what it was for.
    Succeeded,
    /// Its attempts failed, or what it depends on did.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
    /// Its last attempt ran into its deadline.
    TimedOut,
    /// Its last attempt is gone, and nobody knows how it ended.
    Lost,
}

impl JobOutcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Succeeded, Self::Failed, Self::Cancelled, Self::TimedOut, Self::Lost];

    /// The name that clients read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for JobOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
