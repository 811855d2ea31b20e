use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{EligibilityState, Liveness};

/// One node as it describes itself. Before its first description arrives its measurements are 0 and its texts empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its name: its key in the hosts file.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Where others reach its HTTP API.
    pub host: String,
    /// The outside port of its HTTP API.
    pub port: u16,
    /// `http`.
    pub scheme: String,
    /// `leader`, `follower`, `candidate`, `learner` or `worker`; empty before it is known.
    pub role: String,
    /// Version of its daemon.
    pub version: String,
    /// When it was last heard of, seconds since the epoch; 0 when it never was.
    pub last_heartbeat: f64,
    /// Who it believes leads.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// The Raft term that it last heard of.
    pub leader_term: u64,
    /// Logical processors.
    pub cpu_count: u32,
    /// 0 to 100 over all processors.
    pub cpu_percent: f64,
    /// Whole GiB of main memory.
    pub memory_gb: u64,
    /// 0 to 100.
    pub memory_percent: f64,
    /// 0 to 100, of the file system that holds the data.
    pub disk_percent: f64,
    /// GiB free on that file system.
    pub disk_free_gb: f64,
    /// Whether it has a GPU to compute on.
    pub has_gpu: bool,
    /// How many GPUs it has, those included that cannot be used now (the Python program did not send this key).
    #[serde(default)]
    pub gpu_count: u32,
    /// How it stands with the driver: `working`, `no_library`, `no_driver`, `no_gpu`, `no_permission`, `vanished`, `hung`,
    /// `failed`; `off` or `unknown` where nothing was measured and the hosts file's word stands. Also a new key.
    #[serde(default)]
    pub gpu_state: String,
    /// Model name of the GPU, empty without one.
    pub gpu_name: String,
    /// Short name of the GPU, empty without one.
    pub gpu_type: String,
    /// GiB of memory of all its GPUs; 0 where it is not known.
    pub gpu_memory_gb: f64,
    /// 0 to 100 over all its GPUs.
    pub gpu_percent: f64,
    /// 0 to 100 over all its GPUs.
    pub gpu_memory_percent: f64,
    /// Self-play jobs running there.
    pub selfplay_jobs: u32,
    /// How many self-play jobs it takes at once.
    pub max_selfplay_slots: u32,
    /// Training jobs running there.
    pub training_jobs: u32,
    /// Jobs of any kind running there.
    pub active_job_count: u32,
    /// What its role allows it: `selfplay`, `training`, `cpu`, `gpu` …
    pub capabilities: Vec<String>,
    /// It cannot be dialled.
    pub nat_blocked: bool,
    /// The node through which it is reached; empty when it is reached directly.
    pub relay_via: String,
    /// The hosts file says that it is not used any more.
    pub retired: bool,
    /// Other addresses of it.
    pub alternate_ips: Vec<String>,
    /// Its address in the tailnet; empty without one.
    pub tailscale_ip: String,
    /// Version of the code that it runs; the daemon's, until jobs report theirs.
    pub code_version: String,
    /// 0 (idle) to 100 (overloaded).
    pub load_score: f64,
    /// The same word as [`PeerNode::state`]: old clients read this key for it.
    pub status: String,
    /// Whether it is given work, as agreed (the Python program did not send this key).
    #[serde(default)]
    pub eligibility: EligibilityState,
}

impl Node {
    /// A node of which nothing but its name is known.
    pub fn unknown(node_id: NodeId) -> Self {
        Self {
            node_id,
            host: String::new(),
            port: 0,
            scheme: "http".to_owned(),
            role: String::new(),
            version: String::new(),
            last_heartbeat: 0.0,
            leader_id: None,
            leader_term: 0,
            cpu_count: 0,
            cpu_percent: 0.0,
            memory_gb: 0,
            memory_percent: 0.0,
            disk_percent: 0.0,
            disk_free_gb: 0.0,
            has_gpu: false,
            gpu_count: 0,
            gpu_state: String::new(),
            gpu_name: String::new(),
            gpu_type: String::new(),
            gpu_memory_gb: 0.0,
            gpu_percent: 0.0,
            gpu_memory_percent: 0.0,
            selfplay_jobs: 0,
            max_selfplay_slots: 0,
            training_jobs: 0,
            active_job_count: 0,
            capabilities: Vec::new(),
            nat_blocked: false,
            relay_via: String::new(),
            retired: false,
            alternate_ips: Vec::new(),
            tailscale_ip: String::new(),
            code_version: String::new(),
            load_score: 0.0,
            status: Liveness::Unseen.as_str().to_owned(),
            eligibility: EligibilityState::Eligible,
        }
    }
}

/// Another node, with what this node believes about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PeerNode {
    /// What it says about itself. Its `status` is set to `state`.
    #[serde(flatten)]
    pub node: Node,
    /// Whether it counts as alive: `alive` or `suspect`.
    pub is_alive: bool,
    /// What this node believes.
    pub state: Liveness,
    /// When it was last heard of, seconds since the epoch; 0 when it never was.
    pub last_seen: f64,
    /// How long ago that was; the whole time since the epoch when it never was, so that every comparison of an old
    /// client finds it too old.
    pub last_seen_seconds: f64,
    /// The same as `last_seen_seconds`.
    pub seconds_since_heartbeat: f64,
    /// Whether it votes.
    pub is_voter: bool,
}

impl PeerNode {
    /// Completes a node with what is believed about it, so that the keys that say the same thing agree.
    /// `now` and `last_seen` are seconds since the epoch.
    pub fn new(mut node: Node, state: Liveness, last_seen: Option<f64>, now: f64, is_voter: bool) -> Self {
        let last_seen = last_seen.unwrap_or(0.0);
        let age = (now - last_seen).max(0.0);
        state.as_str().clone_into(&mut node.status);
        node.last_heartbeat = last_seen;
        Self {
            node,
            is_alive: state.is_alive(),
            state,
            last_seen,
            last_seen_seconds: age,
            seconds_since_heartbeat: age,
            is_voter,
        }
    }

    /// The short form for `all_peers`.
    pub fn brief(&self) -> AllPeer {
        AllPeer {
            node_id: self.node.node_id.clone(),
            host: self.node.host.clone(),
            port: self.node.port,
            role: self.node.role.clone(),
            status: self.node.status.clone(),
            state: self.state,
            is_alive: self.is_alive,
            last_heartbeat: self.node.last_heartbeat,
            capabilities: self.node.capabilities.clone(),
            load_score: self.node.load_score,
        }
    }
}

/// The short form of a peer in `all_peers`, where dead ones stay too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AllPeer {
    /// Its name.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Where others reach its HTTP API.
    pub host: String,
    /// The outside port of its HTTP API.
    pub port: u16,
    /// As in [`Node::role`].
    pub role: String,
    /// The same word as `state`.
    pub status: String,
    /// What this node believes.
    pub state: Liveness,
    /// Whether it counts as alive.
    pub is_alive: bool,
    /// When it was last heard of, seconds since the epoch; 0 when it never was.
    pub last_heartbeat: f64,
    /// As in [`Node::capabilities`].
    pub capabilities: Vec<String>,
    /// As in [`Node::load_score`].
    pub load_score: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_say_the_same_thing_agree() {
        let node = Node::unknown("alpha".parse().unwrap());
        let peer = PeerNode::new(node, Liveness::Suspect, Some(1_000.0), 1_007.5, true);
        let json = serde_json::to_value(&peer).unwrap();
        assert_eq!(json["state"], "suspect");
        assert_eq!(json["status"], "suspect");
        assert_eq!(json["is_alive"], true);
        assert_eq!(json["last_heartbeat"], json["last_seen"]);
        assert_eq!(json["last_seen_seconds"], 7.5);
        assert_eq!(json["seconds_since_heartbeat"], 7.5);
        assert_eq!(serde_json::from_value::<PeerNode>(json).unwrap(), peer);
    }

    #[test]
    fn a_node_that_was_never_heard_of_is_too_old_for_every_client() {
        let peer = PeerNode::new(Node::unknown("a".parse().unwrap()), Liveness::Unseen, None, 1.7e9, false);
        assert!(!peer.is_alive);
        assert!(peer.last_seen == 0.0 && peer.last_seen_seconds > 1e9, "{peer:?}");
    }

    #[test]
    fn a_clock_that_went_backwards_shows_no_negative_age() {
        let peer = PeerNode::new(Node::unknown("a".parse().unwrap()), Liveness::Alive, Some(10.0), 5.0, false);
        assert!(peer.last_seen_seconds.abs() < f64::EPSILON, "{peer:?}");
    }
}
