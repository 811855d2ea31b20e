//! Every row of the contract's §2.1, §2.2 and §2.3 that the daemon serves, key by key and type by type, on a running
//! leader, follower and worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../cluster/mod.rs"]
mod cluster;
mod jobs;
mod rows;

use cluster::Cluster;
use rows::check;
use serde_json::Value;

const STATUS: &str = "
    node_id: str, role: str, leader_id: str?, effective_leader_id: str?, is_leader: bool, term: int,
    voter_node_ids: list, voter_quorum_size: int, voters_alive: int, voter_quorum_ok: bool, voter_health: map,
    self: map, peers: map, all_peers: map, alive_peers: int, alive_peers_list: list, nodes: list,
    total_peers: int, active_peers: int, suspect_peers: int, dead_peers: int, suspect_peers_list: list,
    dead_peers_list: list, uptime_seconds: number, uptime: number, version: str, local_jobs: map,
    work_queue_size: int, active_jobs: int, selfplay_jobs: int, training_jobs: int, local_selfplay_jobs: int,
    work_queue: map, network: map";

const VOTER_HEALTH: &str = "
    voters_total: int, voters_alive: int, voters_offline: list, quorum_size: int, quorum_ok: bool,
    quorum_threatened: bool, voter_status: map";

const VOTER_STATUS: &str = "alive: bool, detail: str";

const NODE: &str = "
    node_id: str, host: str, port: int, scheme: str, role: str, version: str, last_heartbeat: number,
    leader_id: str?, leader_term: int, cpu_count: int, cpu_percent: number, memory_gb: number, memory_percent: number,
    disk_percent: number, disk_free_gb: number, has_gpu: bool, gpu_name: str, gpu_type: str, gpu_memory_gb: number,
    gpu_percent: number, gpu_memory_percent: number, selfplay_jobs: int, max_selfplay_slots: int, training_jobs: int,
    active_job_count: int, capabilities: list, nat_blocked: bool, relay_via: str, retired: bool, alternate_ips: list,
    tailscale_ip: str, code_version: str, load_score: number, status: str";

const PEER: &str = "
    is_alive: bool, state: str, status: str, last_seen: number, last_seen_seconds: number,
    seconds_since_heartbeat: number, is_voter: bool";

const ALL_PEER: &str = "
    node_id: str, host: str, port: int, role: str, status: str, state: str, is_alive: bool, last_heartbeat: number,
    capabilities: list, load_score: number";

const WORK_QUEUE: &str = "pending: int, in_progress: int, by_status: map";

const NETWORK: &str = "advertise_host: str, advertise_host_family: str, alternate_ips: list";

const HEALTH: &str = "
    healthy: bool, status: str, node_id: str, role: str, is_leader: bool, leader_id: str?,
    leader_last_seen_seconds: number?, cpu_percent: number, memory_percent: number, disk_percent: number,
    gpu_percent: number, gpu_memory_percent: number, selfplay_jobs: int, training_jobs: int, active_peers: int,
    total_peers: int, uptime_seconds: number, timestamp: str, components: list";

const COMPONENT: &str = "name: str, healthy: bool, status: str, message: str, last_activity: number?, details: map";

const COMPONENTS: &str = "
    healthy: bool, node_id: str, timestamp: str, components: list, issues: list, warnings: list";

/// Of contract §6, in its order.
const COMPONENT_NAMES: [&str; 6] =
    ["data_sync", "training", "evaluation", "coordinator", "coordinator_managers", "resources"];

const CLUSTER_COMPONENTS: &str = "healthy: bool, timestamp: str, nodes: list, issues: list, warnings: list";

const CLUSTER_STATUS: &str = "
    success: bool, node_id: str, role: str, leader_id: str?, is_leader: bool, voter_node_ids: list,
    voter_quorum_ok: bool, uptime_seconds: number, peers: list, peer_count: int, jobs: list, job_count: int,
    training_jobs: list, timestamp: number";

fn check_status(place: &str, status: &Value, problems: &mut Vec<String>) {
    check(place, status, STATUS, problems);
    check(&format!("{place}.voter_health"), &status["voter_health"], VOTER_HEALTH, problems);
    for (id, voter) in status["voter_health"]["voter_status"].as_object().unwrap() {
        check(&format!("{place}.voter_status.{id}"), voter, VOTER_STATUS, problems);
    }
    check(&format!("{place}.self"), &status["self"], NODE, problems);
    for (id, peer) in status["peers"].as_object().unwrap() {
        check(&format!("{place}.peers.{id}"), peer, NODE, problems);
        check(&format!("{place}.peers.{id}"), peer, PEER, problems);
    }
    for (id, peer) in status["all_peers"].as_object().unwrap() {
        check(&format!("{place}.all_peers.{id}"), peer, ALL_PEER, problems);
    }
    for node in status["nodes"].as_array().unwrap() {
        check(&format!("{place}.nodes[]"), node, NODE, problems);
    }
    check(&format!("{place}.work_queue"), &status["work_queue"], WORK_QUEUE, problems);
    check(&format!("{place}.network"), &status["network"], NETWORK, problems);
}

fn check_components(place: &str, report: &Value, problems: &mut Vec<String>) {
    check(place, report, COMPONENTS, problems);
    let components = report["components"].as_array().unwrap();
    let names: Vec<_> = components.iter().map(|component| component["name"].as_str().unwrap()).collect();
    assert_eq!(names, COMPONENT_NAMES, "{place}");
    for component in components {
        check(place, component, COMPONENT, problems);
        let status = component["status"].as_str().unwrap();
        assert!(["ok", "warning", "error", "unknown"].contains(&status), "{place}: {component}");
        assert_eq!(component["healthy"], status != "error", "{place}: {component}");
    }
    let healthy = components.iter().all(|component| component["status"] != "error");
    assert_eq!(report["healthy"], healthy, "{place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_its_type_on_leader_follower_and_worker() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    let leader = cluster.formed().await;
    let mut problems = Vec::new();
    for i in 0..4 {
        let client = cluster.client(i);
        let role = if i == leader {
            "leader"
        } else if i == 3 {
            "worker"
        } else {
            "follower"
        };
        let status: Value = client.get_json("/status").await.unwrap();
        check_status(&format!("{role} /status"), &status, &mut problems);
        assert_eq!(status["role"], role);
        assert_eq!(status["is_leader"], i == leader);
        assert_eq!(status["alive_peers"], 3);
        assert_eq!(status["total_peers"], 3);
        assert_eq!(status["nodes"].as_array().unwrap().len(), 4, "self is included");
        assert!(status["peers"].get(&cluster.nodes[i].name).is_none(), "other nodes only");
        assert_eq!(status["voter_quorum_size"], 2);
        assert_eq!(status["voter_quorum_ok"], true);

        let health: Value = client.get_json("/health").await.unwrap();
        check(&format!("{role} /health"), &health, HEALTH, &mut problems);
        for component in health["components"].as_array().unwrap() {
            check(&format!("{role} /health components"), component, COMPONENT, &mut problems);
        }
        let report: Value = client.get_json("/api/health/components").await.unwrap();
        check_components(&format!("{role} /api/health/components"), &report, &mut problems);
        let of_all: Value = client.get_json("/api/health/components?cluster=true").await.unwrap();
        check(&format!("{role} /api/health/components?cluster"), &of_all, CLUSTER_COMPONENTS, &mut problems);
        let status: Value = client.get_json("/api/cluster/status").await.unwrap();
        check(&format!("{role} /api/cluster/status"), &status, CLUSTER_STATUS, &mut problems);
        for peer in status["peers"].as_array().unwrap() {
            check(&format!("{role} /api/cluster/status peers"), peer, NODE, &mut problems);
            check(&format!("{role} /api/cluster/status peers"), peer, PEER, &mut problems);
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_are_counted_and_shown_only_on_request_and_the_quorum_can_be_false() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    let leader = cluster.formed().await;
    for i in (0..3).filter(|i| *i != leader) {
        cluster.kill(i);
    }
    let client = cluster.client(3);
    cluster
        .until("two deaths and a lost quorum", async || {
            let status: ringrift_api::Status = client.get_json("/status").await.ok()?;
            (status.dead_peers == 2 && !status.voter_quorum_ok && status.leader_id.is_none()).then_some(())
        })
        .await;
    let status: Value = client.get_json("/status").await.unwrap();
    assert_eq!(status["peers"].as_object().unwrap().len(), 1);
    assert_eq!(status["all_peers"].as_object().unwrap().len(), 3);
    assert_eq!(status["voters_alive"], 1);
    assert_eq!(status["voter_health"]["quorum_threatened"], true);
    let all: Value = client.get_json("/status?alive_only=false").await.unwrap();
    assert_eq!(all["peers"].as_object().unwrap().len(), 3);
    let mut problems = Vec::new();
    check_status("/status?alive_only=false", &all, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let health: Value = client.get_json("/health").await.unwrap();
    assert_eq!(health["leader_last_seen_seconds"], Value::Null);
    assert_eq!(health["status"], "degraded");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_every_name_that_dashboards_read() {
    let mut cluster = Cluster::new(1, 1);
    cluster.start();
    cluster.formed().await;
    for path in ["/metrics", "/metrics/prometheus"] {
        let text = String::from_utf8(cluster.client(1).get_bytes(path).await.unwrap().to_vec()).unwrap();
        for name in [
            "ringrift_cluster_peers_total 1.0",
            "ringrift_cluster_peers_alive 1.0",
            "ringrift_is_leader 0.0",
            "ringrift_selfplay_jobs_running ",
            "ringrift_training_jobs_running ",
            "ringrift_cluster_selfplay_jobs_total ",
            "ringrift_cpu_percent{node=\"n1\",role=\"leader\"}",
            "ringrift_memory_percent{node=\"n2\",role=\"worker\"}",
            "ringrift_disk_percent{",
            "ringrift_gpu_percent{",
            "ringrift_selfplay_jobs{",
            "ringrift_node_alive{node=\"n1\",role=\"leader\"} 1.0",
            "ringrift_cluster_node_up{node=\"n1\",gpu_type=\"\"} 1.0",
            "ringrift_p2p_peer_count 1.0",
            "ringrift_p2p_quorum_status 1.0",
            "ringrift_p2p_leader_changes_total ",
            "ringrift_p2p_is_leader 0.0",
            "ringrift_p2p_leader_id{leader_id=\"n1\"} 1.0",
            "ringrift_p2p_partition_detected 0.0",
            "ringrift_work_queue_total 0.0",
            "ringrift_work_queue_pending 0.0",
            "ringrift_work_queue_running 0.0",
            "ringrift_component_health{component=\"resources\"}",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_threads ",
            "ringrift_tasks ",
        ] {
            assert!(text.lines().any(|l| l.starts_with(name)), "{path} lacks {name}:\n{text}");
        }
    }
    // Measured by the links' own pings, so it appears a few seconds after the start.
    cluster
        .until("a round-trip time", async || {
            let text = cluster.client(1).get_bytes("/metrics").await.ok()?;
            String::from_utf8_lossy(&text).contains("ringrift_p2p_rtt_seconds{peer=\"n1\"}").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_one_shape_and_the_right_code() {
    let mut cluster = Cluster::new(1, 1);
    cluster.start();
    cluster.formed().await;
    for (token, method, path, body, status, code) in [
        (false, "GET", "/nowhere", "", 404, "NOT_FOUND"),
        (false, "DELETE", "/status", "", 405, "BAD_REQUEST"),
        (false, "POST", "/api/reload", "", 401, "UNAUTHORIZED"),
        (false, "POST", "/api/nodes/n1/cordon", "", 401, "UNAUTHORIZED"),
        (false, "GET", "/api/snapshot", "", 401, "UNAUTHORIZED"),
        (false, "POST", "/api/models/promote", "{}", 401, "UNAUTHORIZED"),
        (false, "GET", "/files/list?type=models", "", 401, "UNAUTHORIZED"),
        (false, "GET", "/files/models/canonical_hex8_2p.pth", "", 401, "UNAUTHORIZED"),
        (false, "GET", "/models/inventory", "", 401, "UNAUTHORIZED"),
        (false, "POST", "/api/voters/adopt", "{}", 401, "UNAUTHORIZED"),
        (false, "GET", "/api/node/nobody/status", "", 404, "NOT_FOUND"),
        (false, "GET", "/api/node/-bad-/status", "", 400, "BAD_REQUEST"),
        (false, "POST", "/api/node/nobody/api/reload", "", 404, "NOT_FOUND"),
        (false, "GET", "/api/events?since=many", "", 400, "BAD_REQUEST"),
        (false, "GET", "/api/nodes?consistent=maybe", "", 400, "BAD_REQUEST"),
        (true, "POST", "/api/nodes/nobody/cordon", "", 404, "NOT_FOUND"),
        (true, "POST", "/api/nodes/n1/cordon", "{\"reson\": \"x\"}", 400, "BAD_REQUEST"),
        (true, "POST", "/api/nodes/n1/bury", "", 404, "NOT_FOUND"),
        (true, "POST", "/api/leader/transfer", "{\"to\": \"n2\"}", 400, "BAD_REQUEST"),
        (true, "POST", "/api/snapshot/restore", "not a snapshot", 400, "BAD_REQUEST"),
        (true, "POST", "/api/voters/adopt", "{\"voters\": []}", 409, "REFUSED"),
        (true, "POST", "/api/nodes/n1/cordon", &" ".repeat((1 << 20) + 1), 413, "TOO_LARGE"),
        (true, "POST", "/api/voters/adopt", "{\"voters\": [\"gone-1\", \"gone-2\", \"n1\"]}", 409, "REFUSED"),
    ] {
        let (found, answer) = cluster.raw(1, token, method, path, body.as_bytes()).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!((found, answer["error_code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
        assert!(answer["error"].is_string() && answer["details"].is_object(), "{method} {path}: {answer}");
    }
}
