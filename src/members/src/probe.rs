use std::{collections::BTreeMap, time::Duration};

use ringrift_config::NodeId;

/// One attempt to find out whether a node is alive. There is at most one per node.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) id: u64,
    /// Calls of ours to the node that are not decided yet.
    pub(crate) direct: u32,
    /// Others that try for us and have not said anything yet.
    pub(crate) asked: u32,
    pub(crate) phase: Phase,
}

/// How far a probe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Asked directly; asked again at `again_at` in case the first message was lost.
    Direct { again_at: Option<Duration>, until: Duration },
    /// Others were asked to try.
    Indirect { until: Duration },
}

impl Probe {
    /// When it needs attention if nothing comes in.
    pub(crate) fn due_at(&self) -> Duration {
        match self.phase {
            Phase::Direct { again_at, until } => again_at.map_or(until, |at| at.min(until)),
            Phase::Indirect { until } => until,
        }
    }

    /// Nothing more can come: everybody who was asked has failed.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.direct == 0 && self.asked == 0
    }
}

/// The probes under way.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    running: BTreeMap<NodeId, Probe>,
    last_id: u64,
}

impl Probes {
    /// Starts to probe `node`, unless a probe is under way. The caller sends one message for it.
    pub(crate) fn start(&mut self, node: &NodeId, again_at: Option<Duration>, until: Duration) -> Option<u64> {
        if self.running.contains_key(node) {
            return None;
        }
        self.last_id += 1;
        let id = self.last_id;
        let probe = Probe { id, direct: 1, asked: 0, phase: Phase::Direct { again_at, until } };
        self.running.insert(node.clone(), probe);
        Some(id)
    }

    /// The probe of `node`, if it is the one with this id and not an earlier one.
    pub(crate) fn get_mut(&mut self, node: &NodeId, id: u64) -> Option<&mut Probe> {
        self.running.get_mut(node).filter(|p| p.id == id)
    }

    /// The probe of `node`, whichever it is.
    pub(crate) fn any_mut(&mut self, node: &NodeId) -> Option<&mut Probe> {
        self.running.get_mut(node)
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The node answered, or no verdict about it is wanted any more.
    pub(crate) fn end(&mut self, node: &NodeId) {
        self.running.remove(node);
    }

    pub(crate) fn end_all(&mut self) {
        self.running.clear();
    }

    /// Probes that need attention now.
    pub(crate) fn due(&self, now: Duration) -> Vec<(NodeId, Probe)> {
        self.running.iter().filter(|(_, p)| p.due_at() <= now).map(|(n, p)| (n.clone(), p.clone())).collect()
    }

    pub(crate) fn next_due(&self) -> Option<Duration> {
        self.running.values().map(Probe::due_at).min()
    }
}
