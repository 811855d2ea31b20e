//! What a voter knows about who leads.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use ringrift_config::NodeId;

/// How a node takes part in Raft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It won an election and a quorum has confirmed it within the lease: writes are taken here.
    Leader,
    /// It follows a leader, or waits for one.
    Follower,
    /// It stands for election, or won one that no quorum has confirmed (yet, or any more).
    Candidate,
    /// It does not vote: it is not one of the voters, or has to catch up first.
    Learner,
}

/// What a voter knows about who leads. Times are monotonic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftStatus {
    /// How this node takes part.
    pub role: Role,
    /// The newest term that this node has seen.
    pub term: u64,
    /// The cluster to which its log belongs: the newest name there, agreed on or not yet. Empty without any. After a restart
    /// it is known before anything of the log is applied.
    pub cluster: String,
    /// The leader, if it was heard of within the lease.
    pub leader: Option<NodeId>,
    /// The voters of the newest membership in the log, both sets together while it changes.
    pub voters: BTreeSet<NodeId>,
    /// Log index of that membership.
    pub voter_config_index: u64,
    /// Whether the voters are being changed: a quorum of the old and of the new set is needed.
    pub changing: bool,
    /// Index up to which the log was applied here.
    pub last_applied: u64,
    /// Index up to which this node knows the log to be committed.
    pub committed: u64,
    /// Since when this node leads; `None` when it does not.
    pub led_since: Option<Instant>,
    /// When the leader was last heard of; on the leader itself, when a quorum last confirmed it.
    pub leader_last_seen: Option<Instant>,
    /// On the leader: how far each voter's log matches its own; 0 where nothing is known yet.
    pub matched: BTreeMap<NodeId, u64>,
    /// On the leader: when each voter last answered.
    pub answered: BTreeMap<NodeId, Instant>,
    /// On the leader: when a quorum last confirmed it.
    pub quorum_acked: Option<Instant>,
    /// Why this voter does not take part yet, as a sentence: it waits for the others, catches up, was refused.
    pub waiting: Option<String>,
    /// Why consensus stopped for good on this node (the disk failed), as a sentence. Only a restart helps.
    pub stopped: Option<String>,
}

impl RaftStatus {
    /// Takes over what a later look says. Whether that is more than newer times, which come with every message of a leader.
    pub(crate) fn take_over(&mut self, later: Self) -> bool {
        (self.leader_last_seen, self.quorum_acked) = (later.leader_last_seen, later.quorum_acked);
        self.answered.clone_from(&later.answered);
        // Compared as a whole, so that no field is forgotten.
        let news = *self != later;
        *self = later;
        news
    }
}
