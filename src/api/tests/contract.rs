//! The keys that old clients read, with the types that they expect.

#![allow(clippy::unwrap_used, reason = "a test program")]

use ringrift_api::{ClusterStatus, Health, HealthStatus, Network, Node, PeerNode, Status, VoterHealth, WorkQueue};
use ringrift_api::{ErrorBody, EventPage, Liveness, NodeList, VotersReport};
use serde_json::Value;
use utoipa::ToSchema;

fn node(name: &str) -> Node {
    Node::unknown(name.parse().unwrap())
}

fn peer() -> PeerNode {
    PeerNode::new(node("beta"), Liveness::Alive, Some(1.0), 2.0, true)
}

fn status() -> Status {
    let beta = "beta".parse::<ringrift_config::NodeId>().unwrap();
    Status {
        node_id: "alpha".parse().unwrap(),
        role: "leader".to_owned(),
        leader_id: None,
        effective_leader_id: None,
        is_leader: false,
        term: 1,
        cluster_id: String::new(),
        voter_node_ids: Vec::new(),
        voter_quorum_size: 1,
        voters_alive: 0,
        voter_quorum_ok: false,
        voter_health: VoterHealth::default(),
        self_node: node("alpha"),
        peers: [(beta.clone(), peer())].into(),
        all_peers: [(beta, peer().brief())].into(),
        alive_peers: 1,
        alive_peers_list: Vec::new(),
        nodes: vec![node("alpha")],
        total_peers: 1,
        active_peers: 1,
        suspect_peers: 0,
        suspect_peers_list: Vec::new(),
        dead_peers: 0,
        dead_peers_list: Vec::new(),
        uptime_seconds: 1.0,
        uptime: 1.0,
        version: "0".to_owned(),
        state_index: 0,
        state_age_seconds: None,
        local_jobs: [].into(),
        work_queue_size: 0,
        active_jobs: 0,
        selfplay_jobs: 0,
        training_jobs: 0,
        local_selfplay_jobs: 0,
        work_queue: WorkQueue::default(),
        network: Network::default(),
    }
}

/// `keys` are words such as `name:int`; a type may end in `?` for null.
fn check(of: &str, value: &Value, keys: &str) {
    for word in keys.split_whitespace() {
        let (key, kind) = word.split_once(':').unwrap();
        let found = value.get(key).unwrap_or_else(|| panic!("{of} has no {key}"));
        let fits = match kind.trim_end_matches('?') {
            "str" => found.is_string(),
            "bool" => found.is_boolean(),
            "int" => found.is_u64(),
            "float" => found.is_f64(),
            "list" => found.is_array(),
            "map" => found.is_object(),
            other => panic!("no such type: {other}"),
        };
        assert!(fits || kind.ends_with('?') && found.is_null(), "{of}.{key} is {found}, not {kind}");
    }
}

const NODE: &str = "node_id:str host:str port:int scheme:str role:str version:str last_heartbeat:float leader_id:str? \
    leader_term:int cpu_count:int cpu_percent:float memory_gb:int memory_percent:float disk_percent:float \
    disk_free_gb:float has_gpu:bool gpu_name:str gpu_type:str gpu_memory_gb:float gpu_percent:float \
    gpu_memory_percent:float selfplay_jobs:int max_selfplay_slots:int training_jobs:int active_job_count:int \
    capabilities:list nat_blocked:bool relay_via:str retired:bool alternate_ips:list tailscale_ip:str code_version:str \
    load_score:float status:str";

#[test]
fn a_status_has_every_key_of_the_contract() {
    let json = serde_json::to_value(status()).unwrap();
    check(
        "status",
        &json,
        "node_id:str role:str leader_id:str? effective_leader_id:str? is_leader:bool term:int voter_node_ids:list \
         voter_quorum_size:int voters_alive:int voter_quorum_ok:bool voter_health:map self:map peers:map all_peers:map \
         alive_peers:int alive_peers_list:list nodes:list total_peers:int active_peers:int suspect_peers:int \
         dead_peers:int suspect_peers_list:list dead_peers_list:list uptime_seconds:float uptime:float version:str \
         local_jobs:map work_queue_size:int active_jobs:int selfplay_jobs:int training_jobs:int \
         local_selfplay_jobs:int work_queue:map network:map",
    );
    check(
        "voter_health",
        &json["voter_health"],
        "voters_total:int voters_alive:int voters_offline:list quorum_size:int quorum_ok:bool quorum_threatened:bool \
         voter_status:map",
    );
    check("work_queue", &json["work_queue"], "pending:int in_progress:int by_status:map");
    check("network", &json["network"], "advertise_host:str advertise_host_family:str alternate_ips:list");
    check("self", &json["self"], NODE);
    check("nodes[0]", &json["nodes"][0], NODE);
    check("peers.beta", &json["peers"]["beta"], NODE);
    check(
        "peers.beta",
        &json["peers"]["beta"],
        "is_alive:bool state:str status:str last_seen:float last_seen_seconds:float seconds_since_heartbeat:float \
         is_voter:bool",
    );
    check(
        "all_peers.beta",
        &json["all_peers"]["beta"],
        "node_id:str host:str port:int role:str status:str state:str is_alive:bool last_heartbeat:float \
         capabilities:list load_score:float",
    );
    assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status());
}

#[test]
fn health_and_cluster_status_have_every_key_of_the_contract() {
    let health = Health {
        healthy: true,
        status: HealthStatus::Healthy,
        node_id: "alpha".parse().unwrap(),
        role: "worker".to_owned(),
        is_leader: false,
        leader_id: None,
        leader_last_seen_seconds: None,
        cpu_percent: 0.0,
        memory_percent: 0.0,
        disk_percent: 0.0,
        gpu_percent: 0.0,
        gpu_memory_percent: 0.0,
        selfplay_jobs: 0,
        training_jobs: 0,
        active_peers: 0,
        total_peers: 0,
        uptime_seconds: 0.0,
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
        components: Vec::new(),
    };
    check(
        "health",
        &serde_json::to_value(health).unwrap(),
        "healthy:bool status:str node_id:str role:str is_leader:bool leader_id:str? leader_last_seen_seconds:float? \
         cpu_percent:float memory_percent:float disk_percent:float gpu_percent:float gpu_memory_percent:float \
         selfplay_jobs:int training_jobs:int active_peers:int total_peers:int uptime_seconds:float timestamp:str \
         components:list",
    );
    let cluster = ClusterStatus {
        success: true,
        node_id: "alpha".parse().unwrap(),
        role: "worker".to_owned(),
        leader_id: None,
        is_leader: false,
        voter_node_ids: Vec::new(),
        voter_quorum_ok: false,
        uptime_seconds: 0.0,
        peers: vec![peer()],
        peer_count: 1,
        jobs: Vec::new(),
        job_count: 0,
        training_jobs: Vec::new(),
        timestamp: 0.0,
    };
    check(
        "cluster status",
        &serde_json::to_value(cluster).unwrap(),
        "success:bool node_id:str role:str leader_id:str? is_leader:bool voter_node_ids:list voter_quorum_ok:bool \
         uptime_seconds:float peers:list peer_count:int jobs:list job_count:int training_jobs:list timestamp:float",
    );
}

/// The schema of a type as JSON, with the types that it refers to.
fn schema<T: ToSchema>() -> String {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    format!("{} {}", serde_json::to_string(&T::schema()).unwrap(), serde_json::to_string(&parts).unwrap())
}

#[test]
fn the_described_types_are_the_sent_ones() {
    let status = schema::<Status>();
    for part in ["\"self\"", "\"alive_peers\"", "last_seen_seconds", "quorum_threatened", "advertise_host_family"] {
        assert!(status.contains(part), "{part} is not in the schema of Status:\n{status}");
    }
    assert!(schema::<EventPage>().contains("\"type\""));
    for (name, text) in [
        ("NodeList", schema::<NodeList>()),
        ("VotersReport", schema::<VotersReport>()),
        ("ErrorBody", schema::<ErrorBody>()),
        ("Status", status),
        ("ModelList", schema::<ringrift_api::ModelList>()),
        ("ClusterManifest", schema::<ringrift_api::ClusterManifest>()),
        ("ModelsProgress", schema::<ringrift_api::ModelsProgress>()),
        ("PromoteRequest", schema::<ringrift_api::PromoteRequest>()),
        ("RollbackRequest", schema::<ringrift_api::RollbackRequest>()),
        ("RemoveRequest", schema::<ringrift_api::RemoveRequest>()),
        ("ModelRemoved", schema::<ringrift_api::ModelRemoved>()),
        ("ModelChanged", schema::<ringrift_api::ModelChanged>()),
        ("DistributeRequest", schema::<ringrift_api::DistributeRequest>()),
        ("Distributed", schema::<ringrift_api::Distributed>()),
        ("VerifyRequest", schema::<ringrift_api::VerifyRequest>()),
        ("VerifyReport", schema::<ringrift_api::VerifyReport>()),
        ("GcReport", schema::<ringrift_api::GcReport>()),
        ("LinkReport", schema::<ringrift_api::LinkReport>()),
        ("ModelUploaded", schema::<ringrift_api::ModelUploaded>()),
    ] {
        for foreign in ["NodeId", "Digest", "ModelName"] {
            let named = format!("/{foreign}\"");
            assert!(!text.contains(&named), "{name} refers to {foreign}, which has no schema:\n{text}");
        }
    }
}
