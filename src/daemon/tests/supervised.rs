//! Whatever part of the daemon stands still, the supervisor finds it out and names it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use cluster::Cluster;
use serde_json::Value;

/// Each on a node of its own, so that they hang at the same time. The last three do not vote.
const SUBSYSTEMS: [&str; 12] = [
    "consensus",
    "exchange",
    "gossip",
    "health",
    "http",
    "leader",
    "links",
    "models",
    "publisher",
    "jobs",
    "scheduler",
    "follower",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_subsystem_that_hangs_is_named_and_none_is_left_out() {
    let mut cluster = Cluster::new(9, 3);
    for (node, subsystem) in cluster.nodes.iter_mut().zip(SUBSYSTEMS) {
        node.environment.push(("RINGRIFT_FAULT_HANG".into(), format!("{subsystem}:1")));
    }
    cluster.start();
    // What is supervised, as a voter's health shows it, is what is tried here.
    let (links, client) = (6, cluster.client(6));
    let details = cluster
        .until("a voter's subsystems", async || {
            let health: Value = client.get_json("/health").await.ok()?;
            let component = health["components"].as_array()?.iter().find(|c| c["name"] == "coordinator_managers")?;
            let names: BTreeSet<String> = component["details"].as_object()?.keys().cloned().collect();
            names.contains("consensus").then_some(names)
        })
        .await;
    assert_eq!(details, SUBSYSTEMS.map(str::to_owned).into(), "as {} sees it", cluster.nodes[links].name);
    for (i, subsystem) in SUBSYSTEMS.iter().enumerate() {
        cluster
            .until(subsystem, async || {
                let log = cluster.log(i);
                let named = |line: &str| line.contains("stuck: no progress") && line.contains(subsystem);
                log.lines().any(named).then_some(())
            })
            .await;
    }
    // The rest of each node still answers, and says so on /health, where HTTP is not what hangs.
    for (i, subsystem) in SUBSYSTEMS.iter().enumerate().filter(|(_, s)| **s != "http") {
        let health: Value = cluster.client(i).get_json("/health").await.unwrap();
        assert_eq!(health["healthy"], false, "{subsystem}: {health}");
        let stuck = health["components"][0]["message"].as_str().unwrap();
        assert!(stuck.contains(&format!("{subsystem} is stuck for ")), "{stuck}");
        let named = health["components"][0]["stuck"].as_array().unwrap();
        assert!(named.iter().any(|name| name == subsystem), "{health}");
    }
    // And each of them stops when it is told to, before systemd's patience of 30 s is over.
    for i in 0..SUBSYSTEMS.len() {
        cluster.signal(i, "TERM");
    }
    let told = Instant::now();
    for (i, subsystem) in SUBSYSTEMS.iter().enumerate() {
        assert_eq!(cluster.terminate(i), Some(0), "{subsystem}");
    }
    assert!(told.elapsed() < Duration::from_secs(30), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_a_subsystem_that_does_not_exist_stops_the_start_and_names_those_that_do() {
    let mut cluster = Cluster::new(1, 0);
    cluster.nodes[0].environment.push(("RINGRIFT_FAULT_HANG".into(), "gosip:1".into()));
    cluster.start();
    assert_eq!(cluster.exit_code(0).await, Some(1));
    assert!(cluster.log(0).contains("there is no subsystem `gosip`; there are consensus, "), "{}", cluster.log(0));
}
