//! What people see of a cluster.

use ringrift_api::{
    Component, ComponentStatus, Eligibility, EligibilityState, Health, HealthStatus, Liveness, NodeEntry, NodeList,
    Status, VoterEntry, VotersReport,
};
use serde_json::json;

use crate::{
    cluster::{self, NOW, id},
    ctl::run,
    fake::{Answer, Fake, Seen},
};

async fn serving(status: Status) -> Fake {
    Fake::start(move |_: &Seen| Answer::json(&status)).await
}

#[tokio::test]
async fn a_status_begins_with_the_runbooks_healthy_view() {
    let fake = serving(cluster::healthy()).await;
    let ran = run(&fake, &["status"]).await;
    assert!(ran.out.starts_with("Leader: alpha\nAlive peers: 3\nTotal nodes: 5\n"), "{}", ran.out);
    insta::assert_snapshot!("status_healthy", ran.told());
    assert_eq!(fake.seen()[0].path, "/status?alive_only=false");
}

#[tokio::test]
async fn a_status_without_a_leader_says_what_is_missing_and_ends_with_5() {
    let fake = serving(cluster::leaderless()).await;
    insta::assert_snapshot!("status_leaderless", run(&fake, &["status"]).await.told());
    // A leader that has lost its quorum and does not know it yet is no leader.
    let mut status = cluster::leaderless();
    status.leader_id = Some(id("alpha"));
    assert_eq!(run(&serving(status).await, &["status"]).await.code, Some(5));
}

#[tokio::test]
async fn json_is_what_the_daemon_said_with_keys_that_we_do_not_know() {
    let mut answer = json!(cluster::healthy());
    answer["of_a_later_version"] = json!([1, 2.5, null]);
    let served = answer.clone();
    let fake = Fake::start(move |_: &Seen| Answer::json(&served)).await;
    for command in ["status", "monitor"] {
        let ran = run(&fake, &[command, "--json"]).await;
        assert_eq!((ran.json(), ran.code), (answer.clone(), Some(0)), "{command}");
    }
}

#[tokio::test]
async fn another_node_is_asked_through_the_daemon() {
    let fake = serving(cluster::healthy()).await;
    assert_eq!(run(&fake, &["status", "gpu-3"]).await.code, Some(0));
    assert_eq!(fake.seen()[0].path, "/api/node/gpu-3/status?alive_only=false");
}

#[tokio::test]
async fn the_leader_is_shown() {
    let ran = run(&serving(cluster::healthy()).await, &["leader"]).await;
    insta::assert_snapshot!("leader", ran.told());
    let ran = run(&serving(cluster::leaderless()).await, &["leader", "show", "--json"]).await;
    assert_eq!(ran.json(), json!({"leader_id": null, "term": 7, "voter_quorum_ok": false, "node_id": "alpha"}));
    assert_eq!(ran.code, Some(5));
}

#[tokio::test]
async fn nodes_are_listed_with_who_keeps_them_from_work() {
    let entry = |name: &str, state, eligibility| NodeEntry {
        node_id: id(name),
        state,
        eligibility,
        role: "worker".to_owned(),
        is_voter: name == "alpha",
        is_leader: name == "alpha",
        host: "10.0.0.5".to_owned(),
        port: 8770,
        host_status: (name != "stranger").then(|| "ready".to_owned()),
        capabilities: Vec::new(),
        active_job_count: 2,
        last_seen: NOW,
        version: "0.1.0".to_owned(),
    };
    let kept = |state, reason: Option<&str>| Eligibility {
        state,
        by: Some("op@desk".to_owned()),
        reason: reason.map(str::to_owned),
        since: Some(NOW),
    };
    let list = NodeList {
        success: true,
        nodes: vec![
            entry("alpha", Liveness::Alive, Eligibility::default()),
            entry("gpu-3", Liveness::Suspect, kept(EligibilityState::Cordoned, Some("new driver"))),
            entry("gpu-4", Liveness::Dead, kept(EligibilityState::Draining, None)),
            // Given work again: the past is for the events.
            entry("stranger", Liveness::Alive, kept(EligibilityState::Eligible, Some("done"))),
        ],
        leader_id: Some(id("alpha")),
        state_index: 42,
    };
    let fake = Fake::start(move |_: &Seen| Answer::json(&list)).await;
    insta::assert_snapshot!("nodes_list", run(&fake, &["nodes", "list"]).await.told());
    assert_eq!(fake.seen()[0].path, "/api/nodes");
}

#[tokio::test]
async fn voters_are_shown_with_how_far_they_are_behind() {
    let voter = |name: &str, alive, matched: Option<u64>| VoterEntry {
        node_id: id(name),
        alive,
        is_leader: name == "alpha",
        matched,
        lag: matched.map(|m| 42 - m),
        detail: if alive { "answers" } else { "silent for 20 s" }.to_owned(),
    };
    let mut report = VotersReport {
        success: true,
        node_id: id("alpha"),
        leader_id: Some(id("alpha")),
        term: 7,
        committed: 42,
        config_index: 1,
        quorum_size: 2,
        voters_alive: 2,
        quorum_ok: true,
        quorum_threatened: true,
        voters: vec![voter("alpha", true, Some(42)), voter("beta", true, Some(40)), voter("gamma", false, None)],
        pending: vec!["delta".to_owned()],
    };
    let served = report.clone();
    let fake = Fake::start(move |_: &Seen| Answer::json(&served)).await;
    insta::assert_snapshot!("voters", run(&fake, &["voters"]).await.told());

    report = VotersReport { leader_id: None, quorum_ok: false, voters_alive: 1, pending: Vec::new(), ..report };
    report.voters[0].is_leader = false;
    report.voters[1].alive = false;
    let fake = Fake::start(move |_: &Seen| Answer::json(&report)).await;
    insta::assert_snapshot!("voters_lost", run(&fake, &["voters"]).await.told());
}

#[tokio::test]
async fn health_is_the_report_that_operators_know() {
    let component = |name: &str, status, message: &str, ago: Option<f64>| Component {
        last_activity: ago.map(|s| NOW - s),
        ..Component::new(name, status, message)
    };
    let health = Health {
        healthy: false,
        status: HealthStatus::Unhealthy,
        node_id: id("gpu-3"),
        role: "worker".to_owned(),
        is_leader: false,
        leader_id: Some(id("alpha")),
        leader_last_seen_seconds: Some(0.3),
        cpu_percent: 99.0,
        memory_percent: 50.0,
        disk_percent: 97.0,
        gpu_percent: 100.0,
        gpu_memory_percent: 10.0,
        selfplay_jobs: 3,
        training_jobs: 0,
        active_peers: 4,
        total_peers: 4,
        uptime_seconds: 100.0,
        timestamp: "2026-03-01T09:00:00Z".to_owned(),
        components: vec![
            component("data_sync", ComponentStatus::Unknown, "no databases yet", None),
            component("coordinator_managers", ComponentStatus::Ok, "5 subsystems run", Some(119.0)),
            component("training", ComponentStatus::Warning, "last run failed", Some(7_200.0)),
            component("resources", ComponentStatus::Error, "disk is 97 % full", None),
        ],
    };
    let mut well = health.clone();
    well.components.truncate(3);
    (well.healthy, well.status) = (true, HealthStatus::Degraded);
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/api/node/gpu-3/health" => Answer::json(&health).status(503),
        _ => Answer::json(&well),
    })
    .await;
    insta::assert_snapshot!("health_unhealthy", run(&fake, &["health", "gpu-3"]).await.told());
    let ran = run(&fake, &["health", "alpha", "--json"]).await;
    assert_eq!((ran.json()["status"].clone(), ran.code), (json!("degraded"), Some(0)));
}
