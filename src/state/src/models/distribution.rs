use std::collections::BTreeMap;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::event::shorten;

/// How the current version of a model gets to the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Log index of the entry that started it; what ends it must name the same.
    pub generation: u64,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub started_at_ms: u64,
    /// Every node hashes its bytes again, whatever it believes about them.
    #[serde(default)]
    pub force: bool,
    /// How far it got.
    pub state: DistributionState,
}

/// How far a distribution got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DistributionState {
    /// Some eligible node has not verified it yet.
    Running,
    /// Every eligible node has verified it.
    Complete {
        /// How many nodes.
        nodes: u32,
        /// From its start to its end, by the leader's monotonic clock.
        duration_ms: u64,
        /// Wall clock of the proposer.
        at_ms: u64,
    },
    /// It took too long. The nodes go on trying: it may still become complete.
    Failed {
        /// How many nodes had it.
        succeeded: u32,
        /// Which had not, and why: the first [`Distribution::MAX_FAILED`] of them.
        failed: BTreeMap<NodeId, String>,
        /// How many more had not.
        more: u32,
        /// From its start to the verdict, by the leader's monotonic clock.
        duration_ms: u64,
        /// Wall clock of the proposer.
        at_ms: u64,
    },
}

impl Distribution {
    /// How many nodes without the model are kept by name.
    pub const MAX_FAILED: usize = 32;
    /// The longest reason kept, in bytes.
    pub const MAX_REASON: usize = 128;

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.state == DistributionState::Running
    }
}

/// As many nodes with their reasons as are kept.
pub(crate) fn bounded(failed: &BTreeMap<NodeId, String>) -> BTreeMap<NodeId, String> {
    let short = |reason: &String| shorten(reason.clone(), Distribution::MAX_REASON);
    failed.iter().take(Distribution::MAX_FAILED).map(|(node, reason)| (node.clone(), short(reason))).collect()
}
