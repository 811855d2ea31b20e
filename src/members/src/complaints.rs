use std::{collections::BTreeMap, time::Duration};

use ringrift_config::NodeId;

/// The pause between two complaints about the same node.
const PAUSE: Duration = Duration::from_secs(30);
/// Nodes that are remembered.
const MAX_NODES: usize = 256;

/// Keeps a node that sends garbage all day from filling the log all day.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    last: BTreeMap<NodeId, Duration>,
}

impl Complaints {
    /// Whether something about `node` may be reported now.
    pub(crate) fn may(&mut self, now: Duration, node: &NodeId) -> bool {
        if self.last.get(node).is_some_and(|at| now < *at + PAUSE) {
            return false;
        }
        self.last.retain(|_, at| now < *at + PAUSE);
        if self.last.len() >= MAX_NODES {
            return false;
        }
        self.last.insert(node.clone(), now);
        true
    }
}
