//! `GET /metrics`, contract §8.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, EncodeMetric as _, LabelSetEncoder, MetricEncoder,
        text::encode,
    },
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use ringrift_api::DistributionPhase;
use ringrift_blob::ModelName;
use ringrift_config::NodeId;

use super::{Picture, Snapshot, gpu, holding::Holding, models, process};
use crate::models::distribution::eligible;

/// The content type of what [`text`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of this node and of what it knows of the others.
pub(crate) fn text(picture: &Picture, snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut samples = Samples::default();
    cluster(&mut samples, snapshot);
    nodes(&mut samples, snapshot);
    consensus(&mut samples, picture, snapshot);
    models(&mut samples, picture);
    gpu::metrics(&mut samples, picture);
    super::jobs::metrics(&mut samples, picture);
    process::metrics(&mut samples);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(samples));
    let mut text = String::with_capacity(16 * 1024);
    encode(&mut text, &registry)?;
    Ok(text)
}

fn cluster(samples: &mut Samples, snapshot: &Snapshot) {
    let s = &snapshot.status;
    samples.gauge(
        "ringrift_cluster_peers_total",
        "Other nodes that are expected or were seen",
        f64::from(s.total_peers),
    );
    samples.gauge("ringrift_cluster_peers_alive", "Other nodes that are alive", f64::from(s.alive_peers));
    samples.gauge("ringrift_is_leader", "1 on the leader", flag(s.is_leader));
    samples.gauge("ringrift_selfplay_jobs_running", "Self-play jobs on this node", s.local_selfplay_jobs as f64);
    samples.gauge("ringrift_training_jobs_running", "Training jobs in the cluster", s.training_jobs as f64);
    samples.gauge("ringrift_cluster_selfplay_jobs_total", "Self-play jobs in the cluster", s.selfplay_jobs as f64);
    samples.gauge("ringrift_work_queue_total", "Items in the work queue", s.work_queue_size as f64);
    samples.gauge("ringrift_work_queue_pending", "Items that wait", s.work_queue.pending as f64);
    samples.gauge("ringrift_work_queue_running", "Items in progress", s.work_queue.in_progress as f64);
}

/// Reads one figure of a node.
type Read = fn(&ringrift_api::Node) -> f64;

fn nodes(samples: &mut Samples, snapshot: &Snapshot) {
    let peers = snapshot.status.peers.values().map(|p| (&p.node, p.is_alive));
    let all: Vec<_> = std::iter::once((&snapshot.status.self_node, true)).chain(peers).collect();
    let families: [(&'static str, &'static str, Read); 7] = [
        ("ringrift_cpu_percent", "CPU use of a node, percent", |n| n.cpu_percent),
        ("ringrift_memory_percent", "Memory use of a node, percent", |n| n.memory_percent),
        ("ringrift_disk_percent", "Disk use of a node, percent", |n| n.disk_percent),
        ("ringrift_gpu_percent", "GPU use of a node, percent", |n| n.gpu_percent),
        ("ringrift_gpu_memory_percent", "Use of the memory of a node's GPUs, percent", |n| n.gpu_memory_percent),
        ("ringrift_gpu_count", "GPUs of a node, those included that cannot be used now", |n| f64::from(n.gpu_count)),
        ("ringrift_selfplay_jobs", "Self-play jobs of a node", |n| f64::from(n.selfplay_jobs)),
    ];
    for (name, help, read) in families {
        // What a dead node last said of its load is not its load.
        let alive = all.iter().filter(|(_, alive)| *alive);
        samples.family(name, help, alive.map(|(n, _)| (by_role(n), read(n))));
    }
    samples.family(
        "ringrift_node_alive",
        "1 for a node that is alive",
        all.iter().map(|(n, a)| (by_role(n), flag(*a))),
    );
    samples.family(
        "ringrift_cluster_node_up",
        "1 for a node that is alive",
        all.iter().map(|(n, a)| {
            let labels = vec![("node", n.node_id.to_string()), ("gpu_type", n.gpu_type.clone())];
            (labels, flag(*a))
        }),
    );
}

fn consensus(samples: &mut Samples, picture: &Picture, snapshot: &Snapshot) {
    let s = &snapshot.status;
    samples.gauge("ringrift_p2p_peer_count", "Other nodes that are alive", f64::from(s.alive_peers));
    samples.gauge("ringrift_p2p_quorum_status", "1 while a majority of the voters is alive", flag(s.voter_quorum_ok));
    samples.gauge("ringrift_p2p_is_leader", "1 on the leader", flag(s.is_leader));
    samples.family(
        "ringrift_p2p_leader_id",
        "1, labelled with the leader's node id; absent without a leader",
        s.leader_id.iter().map(|id| (vec![("leader_id", id.to_string())], 1.0)),
    );
    // A majority that is alive and has no leader, or a leader without a majority, is what a partition looks like from here.
    samples.gauge(
        "ringrift_p2p_partition_detected",
        "1 while the voters that are alive have no leader, or fewer than a majority of them can be seen",
        flag(s.leader_id.is_none() || !s.voter_quorum_ok),
    );
    samples.counter(
        "ringrift_p2p_leader_changes",
        "How often the leader changed since this node started",
        picture.leader_changes,
    );
    samples.family(
        "ringrift_p2p_rtt_seconds",
        "Round-trip time to a linked node, seconds",
        picture.links.iter().filter_map(|l| Some((vec![("peer", l.peer.node.to_string())], l.rtt?.as_secs_f64()))),
    );
    samples.gauge(
        "ringrift_p2p_node_id_conflicts",
        "Node ids that two live machines use",
        picture.conflicts().len() as f64,
    );
    samples.gauge("ringrift_p2p_term", "Raft term", s.term as f64);
    samples.gauge(
        "ringrift_p2p_applied_index",
        "Index up to which the agreed state is applied here",
        s.state_index as f64,
    );
    samples.family(
        "ringrift_component_health",
        "1 for a component that is not in error",
        snapshot.health.components.iter().map(|c| (vec![("component", c.name.clone())], flag(c.healthy))),
    );
}

/// Reads one figure of a node's models.
type ReadHolding = fn(&Holding) -> f64;

fn models(samples: &mut Samples, picture: &Picture) {
    let list = models::model_list(picture).models;
    samples.gauge("ringrift_models_promoted", "Models that every node shall have", list.len() as f64);
    let of = |name: &ModelName| vec![("model", name.to_string())];
    samples.family(
        "ringrift_model_distribution_state",
        "1 for the state in which the distribution of a model is, 0 for the others",
        list.iter().flat_map(|model| {
            use DistributionPhase::{Complete, Failed, Running};
            [Running, Complete, Failed].map(|state| {
                let labels = vec![("model", model.name.to_string()), ("state", state.to_string())];
                (labels, flag(model.distribution.state == state))
            })
        }),
    );
    samples.family(
        "ringrift_model_nodes_verified",
        "Nodes that have verified the current version of a model",
        list.iter().map(|model| (of(&model.name), f64::from(model.nodes_holding))),
    );
    samples.family(
        "ringrift_model_nodes_eligible",
        "Nodes that shall have a model",
        list.iter().map(|model| (of(&model.name), f64::from(model.nodes_eligible))),
    );

    // What a dead node last said is not what it has.
    let alive = eligible(picture).into_iter().filter(|node| picture.is_alive(node));
    let nodes: Vec<(NodeId, Holding)> = alive.map(|node| (node.clone(), Holding::of(picture, &node))).collect();
    let families: [(&'static str, &'static str, ReadHolding); 7] = [
        ("ringrift_node_models_verified", "Models whose current version a node has verified", |h| h.verified as f64),
        ("ringrift_node_models_stuck", "Models that a node cannot have without help", |h| h.stuck.len() as f64),
        ("ringrift_node_models_usable", "0 for a node that has no part in models", |h| flag(h.trouble.is_empty())),
        ("ringrift_node_models_have_bytes", "Verified bytes of current models on a node", |h| h.have_bytes as f64),
        ("ringrift_node_models_wanted_bytes", "Bytes of the models that a node shall have", |h| h.of_bytes as f64),
        ("ringrift_node_models_fetch_bytes_per_second", "How fast models come to a node", |h| {
            h.bytes_per_second as f64
        }),
        ("ringrift_node_models_disk_full", "1 for a node without room for a model", |h| flag(!h.no_space.is_empty())),
    ];
    for (name, help, read) in families {
        samples.family(
            name,
            help,
            nodes.iter().map(|(node, holding)| (vec![("node", node.to_string())], read(holding))),
        );
    }
    samples.family(
        "ringrift_node_models_free_bytes",
        "Free bytes where a node stores models",
        nodes.iter().filter_map(|(node, h)| Some((vec![("node", node.to_string())], h.free_bytes? as f64))),
    );
}

fn by_role(node: &ringrift_api::Node) -> Labels {
    vec![("node", node.node_id.to_string()), ("role", node.role.clone())]
}

pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

pub(super) type Labels = Vec<(&'static str, String)>;

/// One metric with its samples.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<(Labels, Value)>,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Gauge(f64),
    Counter(u64),
}

/// Values that were read elsewhere, in the order in which they are shown.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<Family>);

impl Samples {
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str, value: f64) {
        self.0.push(Family { name, help, samples: vec![(Vec::new(), Value::Gauge(value))] });
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &'static str, value: u64) {
        self.0.push(Family { name, help, samples: vec![(Vec::new(), Value::Counter(value))] });
    }

    pub(super) fn family(
        &mut self,
        name: &'static str,
        help: &'static str,
        samples: impl Iterator<Item = (Labels, f64)>,
    ) {
        let samples = samples.map(|(labels, value)| (labels, Value::Gauge(value))).collect();
        self.0.push(Family { name, help, samples });
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let Some((_, first)) = family.samples.first() else { continue };
            let metric_type = match first {
                Value::Gauge(_) => MetricType::Gauge,
                Value::Counter(_) => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, metric_type)?;
            if let [(labels, value)] = family.samples.as_slice()
                && labels.is_empty()
            {
                value.encode(metric)?;
                continue;
            }
            for (labels, value) in &family.samples {
                value.encode(metric.encode_family(&LabelSet(labels))?)?;
            }
        }
        Ok(())
    }
}

impl Value {
    fn encode(self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Gauge(value) => ConstGauge::new(value).encode(encoder),
            Self::Counter(value) => ConstCounter::new(value).encode(encoder),
        }
    }
}

struct LabelSet<'a>(&'a Labels);

impl EncodeLabelSet for LabelSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, value) in self.0 {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}
