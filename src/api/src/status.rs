use std::collections::BTreeMap;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AllPeer, Job, Node, PeerNode, VoterHealth};

/// `GET /status`: all that this node knows of the cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// `leader`, `follower`, `candidate`, `learner` or `worker`.
    pub role: String,
    /// The current leader, as far as this node knows.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// The same: there is one way to be leader.
    #[schema(value_type = Option<String>)]
    pub effective_leader_id: Option<NodeId>,
    /// Whether that is this node.
    pub is_leader: bool,
    /// Raft term.
    pub term: u64,
    /// Which cluster this is; empty before one has formed.
    pub cluster_id: String,
    /// The replicated voters.
    #[schema(value_type = Vec<String>)]
    pub voter_node_ids: Vec<NodeId>,
    /// How many of them must agree: a true majority.
    pub voter_quorum_size: u32,
    /// How many of them are alive.
    pub voters_alive: u32,
    /// Whether enough of them are.
    pub voter_quorum_ok: bool,
    /// The same at length.
    pub voter_health: VoterHealth,
    /// This node's own description.
    #[serde(rename = "self")]
    pub self_node: Node,
    /// The other nodes; with `alive_only` (the default) those that count as alive.
    #[schema(value_type = BTreeMap<String, PeerNode>)]
    pub peers: BTreeMap<NodeId, PeerNode>,
    /// All other nodes, dead ones too, in short.
    #[schema(value_type = BTreeMap<String, AllPeer>)]
    pub all_peers: BTreeMap<NodeId, AllPeer>,
    /// How many other nodes count as alive.
    pub alive_peers: u32,
    /// Their names.
    #[schema(value_type = Vec<String>)]
    pub alive_peers_list: Vec<NodeId>,
    /// Every known node, this one included, whatever its state.
    pub nodes: Vec<Node>,
    /// How many other nodes are known.
    pub total_peers: u32,
    /// How many of them answer.
    pub active_peers: u32,
    /// How many of them are suspected.
    pub suspect_peers: u32,
    /// Their names.
    #[schema(value_type = Vec<String>)]
    pub suspect_peers_list: Vec<NodeId>,
    /// How many are dead, have left or were never seen.
    pub dead_peers: u32,
    /// Their names.
    #[schema(value_type = Vec<String>)]
    pub dead_peers_list: Vec<NodeId>,
    /// Seconds since this daemon started.
    pub uptime_seconds: f64,
    /// The same.
    pub uptime: f64,
    /// Version of this daemon.
    pub version: String,
    /// Index up to which the agreed state was applied here.
    pub state_index: u64,
    /// How stale the agreed state may be here, in seconds; `null` when this node never had a current one.
    pub state_age_seconds: Option<f64>,
    /// Jobs on this node.
    pub local_jobs: BTreeMap<String, Job>,
    /// Work that waits.
    pub work_queue_size: u64,
    /// Jobs running in the cluster.
    pub active_jobs: u64,
    /// Self-play jobs running in the cluster.
    pub selfplay_jobs: u64,
    /// Training jobs running in the cluster.
    pub training_jobs: u64,
    /// Self-play jobs running on this node.
    pub local_selfplay_jobs: u64,
    /// The queue by state.
    pub work_queue: WorkQueue,
    /// How others reach this node.
    pub network: Network,
}

/// The work queue in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkQueue {
    /// Not yet given to a node.
    pub pending: u64,
    /// Given to a node.
    pub in_progress: u64,
    /// Every state that occurs, with how often.
    pub by_status: BTreeMap<String, u64>,
}

/// How others reach this node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Network {
    /// The address that it tells others.
    pub advertise_host: String,
    /// `ipv4`, `ipv6` or `name`.
    pub advertise_host_family: String,
    /// Its other addresses.
    pub alternate_ips: Vec<String>,
}
