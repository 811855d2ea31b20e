//! What a node tells the others about itself, carried by gossip.

use std::collections::BTreeMap;

use ringrift_config::NodeId;
use ringrift_gpu::{Gpu, Report, State};
use ringrift_health::Resources;
use serde::{Deserialize, Serialize};

use crate::{jobs::JobFacts, models::ModelFacts};

/// The most letters of a sentence that come from elsewhere and travel to every node.
const MAX_SENTENCE: usize = 300;

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
    /// Name of the cluster to which its log belongs, or whose state it holds; generation included, empty before it knows any.
    pub(crate) cluster_id: String,
    /// It cannot be dialled; it keeps links to `relay_via`.
    pub(crate) dials_out_only: bool,
    /// Nodes that hold a link to it, best first; filled by nodes that only dial out.
    pub(crate) relay_via: Vec<NodeId>,
    /// Load of its host.
    pub(crate) resources: Resources,
    /// How it stands with its NVIDIA driver.
    pub(crate) gpu_state: State,
    /// The same as a sentence; empty while all is well.
    pub(crate) gpu_trouble: String,
    /// Its GPUs, those that cannot be used included: at most [`ringrift_gpu::Report::MAX_GPUS`].
    pub(crate) gpus: Vec<GpuFact>,
    /// Seconds since it started, by its own monotonic clock.
    pub(crate) uptime_seconds: u64,
    /// What it has of the models.
    pub(crate) models: ModelFacts,
    /// What it can run, and what it runs.
    pub(crate) jobs: JobFacts,
    /// Revision of the hosts file that it has loaded.
    pub(crate) hosts_revision: String,
    /// Node ids that it has lately seen used by two machines, each with a sentence.
    pub(crate) conflicts: BTreeMap<NodeId, String>,
}

/// One GPU of a node, small enough to travel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GpuFact {
    /// Counted from 0 in the order of the PCI bus.
    pub(crate) index: u32,
    /// As the driver calls it.
    pub(crate) name: String,
    pub(crate) memory_mib: u64,
    pub(crate) used_mib: u64,
    /// How busy it is, in whole percents.
    pub(crate) percent: Option<u8>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<u32>,
    /// Whether a job can be put on it.
    pub(crate) usable: bool,
}

impl GpuFact {
    pub(crate) fn of(gpu: &Gpu, usable: bool) -> Self {
        let memory = gpu.memory.unwrap_or_default();
        Self {
            index: gpu.index,
            name: gpu.name.clone(),
            memory_mib: memory.total >> 20,
            used_mib: memory.used >> 20,
            percent: gpu.percent,
            temperature: gpu.temperature,
            usable: usable && gpu.trouble.is_none(),
        }
    }
}

impl NodeFacts {
    /// Takes over what was measured of the GPUs.
    pub(crate) fn set_gpus(&mut self, report: &Report) {
        self.gpu_state = report.state;
        self.gpu_trouble = report.sentence.chars().take(MAX_SENTENCE).collect();
        let works = report.state == State::Working;
        self.gpus = report.gpus.iter().map(|gpu| GpuFact::of(gpu, works)).collect();
    }
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
    /// Outside port of the model server; 0 if it runs none.
    pub(crate) models_port: u16,
    /// Other addresses of the node.
    pub(crate) alternate_ips: Vec<String>,
}
