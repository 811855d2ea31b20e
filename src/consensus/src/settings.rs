//! What a voter is told at start.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use ringrift_config::NodeId;

/// What a voter is told at start.
#[derive(Debug, Clone)]
pub struct ConsensusConfig {
    /// This node.
    pub node: NodeId,
    /// Where `consensus.redb` lies. Created if it is missing.
    pub dir: PathBuf,
    /// The voters that the hosts file names. They found the cluster; once it exists, only
    /// [`change_voters`](crate::Consensus::change_voters) changes who votes.
    pub genesis: BTreeSet<NodeId>,
    /// How patient this voter is. Should be the same on all voters.
    pub timers: Timers,
}

/// Raft's timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How often a leader shows that it is there.
    pub heartbeat: Duration,
    /// The shortest time without a leader after which a voter stands for election.
    pub election_min: Duration,
    /// The longest. Also the leader's lease: a leader that no quorum has confirmed for so long does not lead.
    pub election_max: Duration,
}

impl Default for Timers {
    /// For voters spread over a WAN: about 3 s from the loss of a leader to the next one.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(800),
            election_max: Duration::from_millis(1200),
        }
    }
}
