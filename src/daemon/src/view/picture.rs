use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::{HostsFile, NodeId, Settings};
use ringrift_health::Resources;
use ringrift_link::LinkInfo;
use ringrift_members::{Member, State, Table};
use ringrift_state::Agreed;
use ringrift_systemd::SubsystemState;

use crate::{agreement::Leadership, facts::NodeFacts};

/// What the subsystems say at one instant: the input of every view, and nothing else is.
pub(crate) struct Picture {
    pub(crate) node: NodeId,
    /// Wall clock, seconds since the epoch.
    pub(crate) now: f64,
    pub(crate) at: Instant,
    pub(crate) uptime: Duration,
    pub(crate) settings: Arc<Settings>,
    pub(crate) hosts: Option<Arc<HostsFile>>,
    pub(crate) facts: Arc<NodeFacts>,
    pub(crate) resources: Resources,
    pub(crate) members: Arc<Table<NodeFacts>>,
    pub(crate) links: Vec<LinkInfo>,
    pub(crate) leadership: Leadership,
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) subsystems: Arc<Vec<SubsystemState>>,
    /// How often this node has seen the leader change since it started.
    pub(crate) leader_changes: u64,
}

impl Picture {
    /// Whether a node takes part: this one does, and so does whoever is alive or merely suspected.
    pub(crate) fn is_alive(&self, node: &NodeId) -> bool {
        *node == self.node || self.members.get(node).is_some_and(|m| matches!(m.state, State::Alive | State::Suspect))
    }

    /// Every other node that the cluster expects or has seen.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Member<NodeFacts>> {
        self.members.others()
    }

    /// When a member was last heard of, in seconds since the epoch by this node's clock.
    pub(crate) fn last_seen(&self, member: &Member<NodeFacts>) -> Option<f64> {
        member.last_seen.map(|at| self.now - self.at.saturating_duration_since(at).as_secs_f64())
    }

    /// Whether the node is one of the voters in force, or, before anything is agreed, one that the file names.
    pub(crate) fn is_voter(&self, node: &NodeId) -> bool {
        self.voters().contains(node)
    }

    /// The voters in force; before anything is agreed, those that the file names.
    pub(crate) fn voters(&self) -> &[NodeId] {
        if !self.leadership.voters.is_empty() {
            return &self.leadership.voters;
        }
        self.hosts.as_ref().and_then(|h| h.voters.as_deref()).unwrap_or_default()
    }
}
