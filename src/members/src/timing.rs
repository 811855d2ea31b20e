use std::time::Duration;

use ringrift_config::NodeId;

/// Who this node is among the members.
#[derive(Debug, Clone)]
pub struct MembersConfig {
    /// This node.
    pub node: NodeId,
    /// Tells this run of the program from earlier ones and from a second node with the same id; random, not 0.
    pub instance: u64,
    /// How fast members are watched.
    pub timing: Timing,
}

/// How fast members are watched. All nodes of a cluster should have the same values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Two push-pull exchanges with other nodes per round (one among more than 256 nodes), and one ping to each watched
    /// node.
    pub round: Duration,
    /// Without an answer for this long, other nodes are asked to try.
    pub probe_timeout: Duration,
    /// Without an answer through other nodes for this much longer, the node is suspected.
    pub indirect_timeout: Duration,
    /// A suspect that does not object for this long is dead.
    pub suspicion: Duration,
    /// Every node is pinged each round by this many others, always the same ones while nobody comes or goes.
    pub watchers: usize,
    /// This many other nodes are asked to try before a node is suspected.
    pub indirect_probes: usize,
    /// A timer that fires this much too late means that this node stood still: for a full
    /// [`Timing::failure_timeout`] it judges nobody.
    pub standstill: Duration,
    /// A dead node that the hosts file does not name is forgotten after this long.
    pub forget_after: Duration,
    /// A peer whose wall clock differs by more than this is reported.
    pub clock_tolerance: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            round: Duration::from_secs(1),
            probe_timeout: Duration::from_secs(1),
            indirect_timeout: Duration::from_secs(1),
            suspicion: Duration::from_secs(4),
            watchers: 2,
            indirect_probes: 3,
            standstill: Duration::from_millis(1500),
            forget_after: Duration::from_hours(24),
            clock_tolerance: Duration::from_secs(30),
        }
    }
}

impl Timing {
    /// From the first unanswered probe of a silent node to its death.
    pub fn failure_timeout(&self) -> Duration {
        self.probe_timeout + self.indirect_timeout + self.suspicion
    }
}
