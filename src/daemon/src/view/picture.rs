use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::{HostsFile, NodeId, Settings};
use ringrift_gpu::Report;
use ringrift_health::{Pipeline, Resources};
use ringrift_link::LinkInfo;
use ringrift_members::{Member, State, Table};
use ringrift_state::Agreed;
use ringrift_systemd::SubsystemState;

use crate::{agreement::Leadership, facts::NodeFacts, models::ModelFacts};

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
    /// What the pipeline's files said; `None` before the first look.
    pub(crate) pipeline: Option<Arc<Pipeline>>,
    /// What runs here.
    pub(crate) local_jobs: Arc<crate::jobs::Local>,
    /// This machine's GPUs.
    pub(crate) gpus: Arc<Report>,
    pub(crate) members: Arc<Table<NodeFacts>>,
    pub(crate) links: Vec<LinkInfo>,
    pub(crate) leadership: Leadership,
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) subsystems: Arc<Vec<SubsystemState>>,
    /// How often this node has seen the leader change since it started.
    pub(crate) leader_changes: u64,
    /// Requests for which the work queue had no room while this node led.
    pub(crate) queue_refused: u64,
    /// How often a node got no more jobs of a class for a while, as long as this node led.
    pub(crate) dispatch_failed: u64,
    /// Why this voter does not take part yet.
    pub(crate) waiting: Option<String>,
    /// Why the last reload was refused.
    pub(crate) reload_refused: Option<Arc<String>>,
}

impl Picture {
    /// Whether a node takes part: this one does, and so does whoever is alive or merely suspected.
    pub(crate) fn is_alive(&self, node: &NodeId) -> bool {
        *node == self.node || self.members.get(node).is_some_and(|m| matches!(m.state, State::Alive | State::Suspect))
    }

    /// How a node last said it takes part; empty if it never did.
    pub(crate) fn role(&self, node: &NodeId) -> &str {
        if *node == self.node {
            return self.leadership.part.as_str();
        }
        self.members.get(node).and_then(|m| m.facts.as_ref()).map_or("", |facts| &facts.role)
    }

    /// The name of the cluster to which a node last said it belongs; empty if it never did.
    pub(crate) fn cluster_id(&self, node: &NodeId) -> &str {
        if *node == self.node {
            return &self.leadership.cluster;
        }
        self.members.get(node).and_then(|m| m.facts.as_ref()).map_or("", |facts| &facts.cluster_id)
    }

    /// What a node last said of its models.
    pub(crate) fn model_facts(&self, node: &NodeId) -> Option<&ModelFacts> {
        if *node == self.node {
            return Some(&self.facts.models);
        }
        self.members.get(node).and_then(|m| m.facts.as_ref()).map(|facts| &facts.models)
    }

    /// Every other node that the cluster expects or has seen.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Member<NodeFacts>> {
        self.members.others()
    }

    /// When a member was last heard of, in seconds since the epoch by this node's clock.
    pub(crate) fn last_seen(&self, member: &Member<NodeFacts>) -> Option<f64> {
        member.last_seen.map(|at| self.now - self.at.saturating_duration_since(at).as_secs_f64())
    }

    /// Node ids that two machines use, as this node or any other that is alive has met them.
    pub(crate) fn conflicts(&self) -> BTreeMap<NodeId, String> {
        let others = self.others().filter(|m| m.state.is_present()).filter_map(|m| m.facts.as_ref());
        let told = others.flat_map(|facts| &facts.conflicts).chain(&self.facts.conflicts);
        told.map(|(node, sentence)| (node.clone(), sentence.clone())).collect()
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
