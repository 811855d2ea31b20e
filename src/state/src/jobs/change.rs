use ringrift_job::{Ending, JobId};
use serde::{Deserialize, Serialize};

use super::{Assignment, JobOutcome};

/// One step of one job. It names the attempt that it is about, and changes nothing unless that is the current one: what an old
/// leader decided or an old run reports comes too late, and does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum JobChange {
    /// Gives a pending job to somebody.
    ///
    /// Applied only if the job has all that it depends on, the node is eligible, has fewer than `slots` jobs, and the GPUs have
    /// that much left: a placement that comes late cannot fill a node beyond what it has.
    Place {
        /// The job.
        job: JobId,
        /// The attempt that begins: one more than the last.
        attempt: u32,
        /// To whom, and with what.
        assignment: Assignment,
        /// How many jobs the holder's node takes at once.
        slots: u32,
    },
    /// The holder says that it runs.
    Started {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
        /// Wall clock of the start, milliseconds since the epoch.
        since_ms: u64,
    },
    /// The holder says how it ended.
    Ended {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
        /// How.
        ending: Ending,
    },
    /// The holder gives it back, and nothing of it runs: it could not be started there, or its GPU idled. It is tried elsewhere.
    Refused {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
        /// Why, as a sentence.
        reason: String,
    },
    /// The holder has not been heard of for too long. Whatever still runs there does not count any more.
    Lost {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
        /// Why, as a sentence.
        reason: String,
    },
    /// The run shall stop, and the job go elsewhere once it has: its node is drained, or its slot is needed.
    Recall {
        /// The job.
        job: JobId,
        /// The attempt.
        attempt: u32,
        /// Why, as a sentence.
        reason: String,
    },
    /// A pending job will never run.
    GiveUp {
        /// The job.
        job: JobId,
        /// The last attempt that there was; 0 before the first.
        attempt: u32,
        /// What became of it.
        outcome: JobOutcome,
        /// Why, as a sentence.
        reason: String,
    },
}

impl JobChange {
    /// How many one command may hold.
    pub const MAX_BATCH: usize = 4096;

    /// The job that it is about.
    pub fn job(&self) -> &JobId {
        match self {
            Self::Place { job, .. }
            | Self::Started { job, .. }
            | Self::Ended { job, .. }
            | Self::Refused { job, .. }
            | Self::Lost { job, .. }
            | Self::Recall { job, .. }
            | Self::GiveUp { job, .. } => job,
        }
    }
}
