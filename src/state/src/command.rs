use std::collections::{BTreeMap, BTreeSet};

use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_job::{JobId, Limits};
use serde::{Deserialize, Serialize};

use crate::{ClusterState, Eligibility, Elo, Fill, JobChange, NewEvent, NewJob};

/// Where a committed entry stands in the log: what `apply` may know besides the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMeta {
    /// Raft term in which the entry was proposed.
    pub term: u64,
    /// Index in the log; strictly increasing by one.
    pub index: u64,
}

/// A change that the voters agree on.
///
/// Every `at_ms` is the proposer's wall clock in milliseconds since the epoch: it is shown, never compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Keeps new work away from a node, or lets it come again.
    SetEligibility {
        /// The node.
        node: NodeId,
        /// What it may do from now on.
        eligibility: Eligibility,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// Why, for the event log.
        #[serde(default)]
        reason: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Records something that happened.
    Record {
        /// What happened.
        event: NewEvent,
    },
    /// Writes down which voter list is in force, once Raft's own membership has changed to it.
    AdoptVoters {
        /// The voters now.
        voters: BTreeSet<NodeId>,
        /// The voters until now. A copy of the hosts file that still names them is stale from here on.
        #[serde(default)]
        replaced: BTreeSet<NodeId>,
        /// SHA-256 (hex) of the hosts file that named them; empty when they came from elsewhere.
        #[serde(default)]
        revision: String,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Puts a saved state in the place of the present one.
    ///
    /// What describes this cluster rather than its work stays: its id, the history of its voters, the memory of recent
    /// requests. The event log with the higher sequence number stays too, so that a reader's cursor never goes back.
    Restore {
        /// The saved state.
        state: Box<ClusterState>,
        /// Where it came from, for the event log.
        #[serde(default)]
        source: String,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Names the cluster: proposed once by its first leader, and again after a recovery from a lost majority.
    FormCluster {
        /// The cluster's id; see [`crate::ClusterId`]. It must succeed the present one.
        cluster_id: String,
        /// The voters that formed it.
        #[serde(default)]
        voters: BTreeSet<NodeId>,
        /// SHA-256 (hex) of the hosts file that named them; empty when they came from elsewhere.
        #[serde(default)]
        revision: String,
        /// Who formed it, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Makes bytes the model of a name. Of two that race, the later in the log is current on every node.
    PromoteModel {
        /// The name.
        name: ModelName,
        /// The bytes, by their digests. The proposer has checked that `source` has them.
        blob: Blob,
        /// Their rating, if somebody measured it.
        #[serde(default)]
        elo: Option<Elo>,
        /// A node that has them.
        source: NodeId,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// Also when they are current already; every node then hashes its copy again.
        #[serde(default)]
        force: bool,
        /// Only in the place of this one: [`ClusterState::generation_of`] the name when the bytes were made. A file that a program
        /// wrote over one version must not take the place of the next, of which that program knew nothing.
        #[serde(default)]
        over: Option<u64>,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Takes a name away, with its history: every node removes what it published there, and keeps the bytes as an old version.
    RemoveModel {
        /// The name.
        name: ModelName,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Makes an earlier version current again. Nodes that kept its bytes fetch nothing.
    RollBackModel {
        /// The name.
        name: ModelName,
        /// The version, out of the history of that name.
        sha256: Digest,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Sees to it once more that every node has what is current.
    StartDistribution {
        /// The model; all of them when there is none.
        #[serde(default)]
        name: Option<ModelName>,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// Also when a distribution is running; every node then hashes its copy again.
        #[serde(default)]
        force: bool,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Writes down the leader's verdict on a distribution; see [`crate::distribution_verdict`]. One on an older version or an
    /// older attempt changes nothing.
    DistributionEnded {
        /// The model.
        name: ModelName,
        /// The version that was judged.
        sha256: Digest,
        /// [`crate::Distribution::generation`] of the attempt that was judged.
        generation: u64,
        /// Who has verified it.
        succeeded: BTreeSet<NodeId>,
        /// Who has not, and why. Empty: every eligible node has.
        #[serde(default)]
        failed: BTreeMap<NodeId, String>,
        /// From its start to the verdict, by the leader's monotonic clock.
        #[serde(default)]
        duration_ms: u64,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Takes new jobs into the queue: all of them or none. Those that are known by their names already change nothing.
    SubmitJobs {
        /// The jobs, at most [`NewJob::MAX_BATCH`].
        jobs: Vec<NewJob>,
        /// How many jobs may be there that have not ended and do not only fill slots. Beyond it the refusal begins with
        /// [`crate::Jobs::FULL`].
        hard_limit: u32,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// What the scheduler decided and the nodes reported. Each change is judged alone, and does nothing if it comes too late.
    ChangeJobs {
        /// The changes, at most [`JobChange::MAX_BATCH`].
        changes: Vec<JobChange>,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Ends jobs that nobody wants any more: those that nobody has at once, the others when their runs have been stopped.
    CancelJobs {
        /// The jobs. Those that there are not, or that have ended, are passed over.
        jobs: BTreeSet<JobId>,
        /// Who asked, for the event log.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Gives a job other limits, also while it runs.
    LimitJob {
        /// The job.
        job: JobId,
        /// Its own limits, over the class's.
        limits: Limits,
        /// Who asked.
        #[serde(default)]
        by: String,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Says how idle slots are filled.
    SetFill {
        /// How; none for what each leader's settings say.
        #[serde(default)]
        fill: Option<Fill>,
        /// The proposer's wall clock.
        #[serde(default)]
        at_ms: u64,
    },
    /// Applies the inner command unless a command with this id was applied lately: what a proposer sends that may have
    /// to repeat itself, because it cannot know whether its first attempt was committed.
    Once {
        /// Chosen by the proposer, at most [`crate::RecentRequests::MAX_ID_LEN`] bytes.
        request_id: String,
        /// What to do; not a `Once` again.
        inner: Box<Command>,
    },
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It changed nothing: the state already was so.
    Unchanged,
    /// It changed nothing: a command with the same request id was applied before.
    Duplicate,
    /// It changed nothing: the state does not allow it.
    Refused {
        /// Why, as a sentence for people.
        reason: String,
    },
}
