use std::collections::BTreeSet;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::{ClusterState, Eligibility, NewEvent};

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
