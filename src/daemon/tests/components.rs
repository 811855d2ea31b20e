//! `GET /api/health/components` on running nodes: what it reads, and what it says of the whole cluster.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use cluster::Cluster;
use ringrift_api::{ClusterComponents, ComponentReport, ComponentStatus};
use rusqlite::Connection;

fn database(path: &Path, sql: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

/// A node on which everything is as it should be, except that no game was played for two hours.
fn pipeline(node: &Path) {
    let now = jiff::Timestamp::now().to_string();
    let games = node.join("data/games/selfplay.db");
    database(&games, "CREATE TABLE games (game_id TEXT); INSERT INTO games VALUES ('a'), ('b');");
    let two_hours_ago = SystemTime::now() - Duration::from_hours(2);
    fs::File::options().write(true).open(&games).unwrap().set_modified(two_hours_ago).unwrap();
    let elo = format!("CREATE TABLE match_history (timestamp); INSERT INTO match_history VALUES ('{now}');");
    database(&node.join("data/unified_elo.db"), &elo);
    let tasks = format!("CREATE TABLE tasks (last_heartbeat); INSERT INTO tasks VALUES ('{now}');");
    database(&node.join("data/coordination/task_registry.db"), &tasks);
    let run = node.join("logs/unified_training/run-1");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("training_report.json"), "{\"success\": true}").unwrap();
}

/// The statuses in the contract's order; the last is that of the machine on which this test runs, and not looked at.
fn statuses(report: &ComponentReport) -> Vec<ComponentStatus> {
    report.components.iter().take(5).map(|component| component.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_tells_of_its_own_files_and_any_node_of_all() {
    use ComponentStatus::{Error, Ok, Unknown, Warning};
    let mut cluster = Cluster::new(3, 1);
    pipeline(&cluster.nodes[0].dir);
    // A file that is no database.
    let broken = cluster.nodes[3].dir.join("data/games/selfplay.db");
    fs::create_dir_all(broken.parent().unwrap()).unwrap();
    fs::write(&broken, "not a database, but long enough to look like one").unwrap();
    cluster.start();
    cluster.formed().await;

    let looked = cluster
        .until("the first look", async || {
            let report: ComponentReport = cluster.client(0).get_json("/api/health/components").await.ok()?;
            (report.components[0].status != Unknown).then_some(report)
        })
        .await;
    assert_eq!(statuses(&looked), [Warning, Ok, Ok, Ok, Ok], "{looked:?}");
    assert_eq!(looked.components[0].message, "2 games, last written to 120 minutes ago, warned of from 60 minutes on");
    assert_eq!(looked.components[0].details["games"], 2);
    assert!(looked.warnings.iter().any(|w| w.starts_with("data_sync: 2 games")), "{looked:?}");
    let details = &looked.components[5].details;
    assert!(details["open_files"].as_u64() > Some(5) && details["sockets"].as_u64() > Some(1), "{details:?}");

    // A node without a pipeline: no database of games is an error, no match a warning, the rest cannot be told.
    let all = cluster
        .until("every node's first look", async || {
            let all: ClusterComponents =
                cluster.client(1).get_json("/api/health/components?cluster=true").await.ok()?;
            let told = |node: &ringrift_api::NodeComponents| node.report.as_ref().map(|r| r.components[0].status);
            all.nodes.iter().all(|node| told(node).is_some_and(|status| status != Unknown)).then_some(all)
        })
        .await;
    let names: Vec<&str> = all.nodes.iter().map(|node| node.node_id.as_str()).collect();
    assert_eq!(names, ["n1", "n2", "n3", "n4"]);
    let report = |i: usize| all.nodes[i].report.as_ref().unwrap();
    assert_eq!(statuses(report(0)), [Warning, Ok, Ok, Ok, Ok]);
    assert_eq!(statuses(report(1)), [Error, Unknown, Warning, Unknown, Ok]);
    assert_eq!(statuses(report(3)), [Error, Unknown, Warning, Unknown, Ok]);
    assert!(!all.healthy);
    assert!(all.issues.iter().any(|i| i.starts_with("n2: data_sync: ") && i.ends_with("is not there")), "{all:?}");
    assert!(all.issues.iter().any(|i| i.starts_with("n4: data_sync: ") && i.contains("selfplay.db")), "{all:?}");
    assert!(all.warnings.iter().any(|w| w.starts_with("n1: data_sync: 2 games")), "{all:?}");

    // Through another node, as for one behind NAT.
    let through: ComponentReport = cluster.client(2).get_json("/api/node/n1/api/health/components").await.unwrap();
    assert_eq!(through.node_id.as_str(), "n1");

    cluster.kill(3);
    cluster
        .until("the dead node among the issues", async || {
            let all: ClusterComponents = cluster.client(1).get_json("/api/health/components?cluster=1").await.ok()?;
            all.issues.iter().any(|issue| issue == "n4: is dead").then_some(())
        })
        .await;
}
