use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Job, PeerNode};

/// `GET /api/cluster/status`: what the old dashboard reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterStatus {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// This node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Its role.
    pub role: String,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// Whether that is this node.
    pub is_leader: bool,
    /// The replicated voters.
    #[schema(value_type = Vec<String>)]
    pub voter_node_ids: Vec<NodeId>,
    /// Whether enough of them are alive.
    pub voter_quorum_ok: bool,
    /// Seconds since this daemon started.
    pub uptime_seconds: f64,
    /// The other nodes: a list here.
    pub peers: Vec<PeerNode>,
    /// How many.
    pub peer_count: u32,
    /// Jobs in the cluster.
    pub jobs: Vec<Job>,
    /// How many.
    pub job_count: u32,
    /// Those of them that train.
    pub training_jobs: Vec<Job>,
    /// When this was put together, seconds since the epoch.
    pub timestamp: f64,
}
