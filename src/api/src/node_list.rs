use std::fmt;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Liveness;

/// `GET /api/nodes`: every known node, and whether it is given work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeList {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Every node of the hosts file or heard of, by name.
    pub nodes: Vec<NodeEntry>,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// Index of the agreed state that this was read from.
    pub state_index: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeEntry {
    /// Its name.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What is believed about its daemon.
    pub state: Liveness,
    /// Whether it is given work.
    pub eligibility: Eligibility,
    /// As in [`crate::Node::role`].
    pub role: String,
    /// Whether it votes.
    pub is_voter: bool,
    /// Whether it leads.
    pub is_leader: bool,
    /// Where others reach its HTTP API; empty before it is known.
    pub host: String,
    /// The outside port of its HTTP API; 0 before it is known.
    pub port: u16,
    /// `status` of the hosts file; `null` when the file does not name it. Only `ready` hosts get work.
    pub host_status: Option<String>,
    /// What its role in the hosts file allows it.
    pub capabilities: Vec<String>,
    /// Jobs of any kind running there.
    pub active_job_count: u32,
    /// When it was last heard of, seconds since the epoch; 0 when it never was.
    pub last_seen: f64,
    /// Version of its daemon; empty before it is known.
    pub version: String,
}

/// Whether a node is given work, and who decided it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Eligibility {
    /// What it may do.
    pub state: EligibilityState,
    /// Who asked for it; `null` when nobody ever did.
    pub by: Option<String>,
    /// Why; `null` when nobody said.
    pub reason: Option<String>,
    /// Since when, seconds since the epoch; `null` when nobody ever changed it.
    pub since: Option<f64>,
}

/// What a node may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EligibilityState {
    /// New work may come.
    #[default]
    Eligible,
    /// No new work; what runs there runs on.
    Cordoned,
    /// No new work; what runs there is moved away.
    Draining,
}

impl EligibilityState {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
        }
    }
}

impl fmt::Display for EligibilityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
