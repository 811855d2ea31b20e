//! What a node tells the others about its jobs, carried by gossip.

use ringrift_job::{ClassName, Kind, Needs};
use serde::{Deserialize, Serialize};

/// What a node can do for the cluster, and what it does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct JobFacts {
    /// `systemd`, `plain` or `none`; empty of a node that runs an older version.
    pub(crate) runner: String,
    /// How many jobs it takes at once.
    pub(crate) slots: u32,
    /// Whether its idle slots may be filled with self-play.
    pub(crate) fill: bool,
    /// Why it takes no new job now; empty if it takes some.
    pub(crate) refuses: String,
    /// The classes that it can run.
    pub(crate) offers: Vec<Offer>,
    /// Bytes of main memory.
    pub(crate) memory_bytes: u64,
    /// Self-play jobs running there.
    pub(crate) selfplay: u32,
    /// Training jobs running there.
    pub(crate) training: u32,
    /// Jobs of any kind running there.
    pub(crate) active: u32,
}

/// A class that a node can run, with what the node's own settings say that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offer {
    pub(crate) class: ClassName,
    pub(crate) kind: Kind,
    pub(crate) needs: Needs,
}
