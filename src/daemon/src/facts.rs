//! What a node tells the others about itself, carried by gossip.

use ringrift_config::NodeId;
use ringrift_health::Resources;
use serde::{Deserialize, Serialize};

/// One node's own description. Every field has a default so that nodes of different versions understand each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct NodeFacts {
    /// Where others reach it.
    pub(crate) address: Address,
    /// Version of the daemon.
    pub(crate) version: String,
    /// Its view of the leader, so that a split view can be seen from anywhere.
    pub(crate) leader: Option<NodeId>,
    /// The Raft term that it last heard of.
    pub(crate) term: u64,
    /// `leader`, `follower`, `candidate`, `learner` or `worker`.
    pub(crate) role: String,
    /// It cannot be dialled; it keeps links to `relay_via`.
    pub(crate) dials_out_only: bool,
    /// Nodes that hold a link to it, best first; filled by nodes that only dial out.
    pub(crate) relay_via: Vec<NodeId>,
    /// Load of its host.
    pub(crate) resources: Resources,
    /// Seconds since it started, by its own monotonic clock.
    pub(crate) uptime_seconds: u64,
    /// Revision of the hosts file that it has loaded.
    pub(crate) hosts_revision: String,
}

/// Where a node listens, as seen from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    /// Name or address to dial.
    pub(crate) host: String,
    /// Outside port of the links.
    pub(crate) link_port: u16,
    /// Outside port of the HTTP API.
    pub(crate) http_port: u16,
    /// Other addresses of the node.
    pub(crate) alternate_ips: Vec<String>,
}
