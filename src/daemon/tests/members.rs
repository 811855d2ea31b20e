//! Who is alive, as real processes see it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::time::{Duration, Instant};

use cluster::Cluster;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_seen_dead_by_all_and_a_frozen_one_is_not() {
    let mut cluster = Cluster::new(3, 2);
    cluster.start();
    cluster.formed().await;

    // Frozen for three seconds: nobody may call it dead, then or later.
    cluster.signal(3, "STOP");
    let thawed_at = Instant::now() + Duration::from_secs(3);
    let mut thawed = false;
    let watched_until = Instant::now() + Duration::from_secs(9);
    cluster
        .until("six seconds after the thaw", async || {
            if !thawed && Instant::now() >= thawed_at {
                cluster.signal(3, "CONT");
                thawed = true;
            }
            for i in [0, 1, 2, 4] {
                if let Some(status) = cluster.status(i).await {
                    assert!(status.dead_peers_list.is_empty(), "n{} calls {:?} dead", i + 1, status.dead_peers_list);
                }
            }
            (Instant::now() > watched_until).then_some(())
        })
        .await;

    cluster.kill(4);
    let killed = Instant::now();
    cluster
        .until("all to see the death", async || {
            for i in 0..4 {
                let status = cluster.status(i).await?;
                status.dead_peers_list.iter().any(|n| n.as_str() == "n5").then_some(())?;
            }
            Some(())
        })
        .await;
    // The promise is 8 s; the rest is what a busy test machine may add.
    assert!(killed.elapsed() < Duration::from_secs(12), "seen after {:?}", killed.elapsed());

    cluster.start_node(4);
    cluster.formed().await;
    let client = cluster.client(0);
    cluster
        .until("its return to be written down", async || {
            let page: Value = client.get_json("/api/events").await.ok()?;
            page["events"]
                .as_array()?
                .iter()
                .any(|e| e["type"] == "NODE_ALIVE" || e["type"] == "NODE_JOINED")
                .then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_only_dials_out_is_a_full_member_and_answers_through_others() {
    let dial_out = |name: &str| match name {
        "n4" | "n5" => "    nat_blocked: true\n".to_owned(),
        _ => String::new(),
    };
    let mut cluster = Cluster::with_hosts(3, 2, dial_out);
    cluster.start();
    cluster.formed().await;
    // From a voter, from the other node behind NAT, and by way of an operator who can reach neither.
    for (from, to) in [(0, "n4"), (1, "n5"), (3, "n5"), (4, "n4")] {
        let client = cluster.client(from);
        let path = format!("/api/node/{to}/status");
        let status =
            cluster.until("an answer through a relay", async || client.get_json::<Value>(&path).await.ok()).await;
        assert_eq!(status["node_id"], to, "asked through {}", cluster.nodes[from].name);
    }
    let status: Value = cluster.client(0).get_json("/status").await.unwrap();
    assert_eq!(status["peers"]["n4"]["nat_blocked"], true);
    cluster
        .until("the relay to be named", async || {
            let status: Value = cluster.client(0).get_json("/status").await.ok()?;
            status["peers"]["n4"]["relay_via"].as_str().filter(|r| r.starts_with('n')).map(|_| ())
        })
        .await;
    // A relayed request keeps its caller's rights: none without the token, all with it.
    let (code, _) = cluster.raw(0, false, "POST", "/api/node/n4/api/reload", b"").await;
    assert_eq!(code, 401);
    let (code, body) = cluster.raw(0, true, "POST", "/api/node/n4/api/reload", b"").await;
    assert_eq!(code, 200, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_with_the_same_id_is_refused_and_stops_with_a_sentence() {
    let mut cluster = Cluster::new(3, 2);
    // n5's process calls itself n4, from n5's address.
    cluster.nodes[4].extra = ["--node-id", "n4"].map(String::from).to_vec();
    for i in 0..4 {
        cluster.start_node(i);
    }
    cluster.formed().await;
    cluster.start_node(4);
    assert_eq!(cluster.exit_code(4).await, Some(1));
    let log = cluster.log(4);
    assert!(log.contains("node id n4 is already in use at"), "{log}");
    let status = cluster.status(0).await.unwrap();
    assert!(status.alive_peers_list.iter().any(|n| n.as_str() == "n4"), "the first one stays");
    // Whoever met it, the cluster remembers it, once; and whoever looks at the metrics meanwhile is told.
    let address = cluster.nodes[4].ip.to_string();
    let client = cluster.client(2);
    let events = cluster
        .until("the conflict to be written down", async || {
            let page: Value = client.get_json("/api/events?type=NODE_ID_CONFLICT").await.ok()?;
            page["events"].as_array().filter(|e| !e.is_empty()).cloned()
        })
        .await;
    assert_eq!((events.len(), events[0]["node_id"].as_str()), (1, Some("n4")), "{events:?}");
    assert!(events[0]["message"].as_str().unwrap().contains(&address), "{events:?}");
    cluster
        .until("all to know of it", async || {
            for i in 0..4 {
                let text = cluster.client(i).get_bytes("/metrics").await.ok()?;
                String::from_utf8_lossy(&text).contains("ringrift_p2p_node_id_conflicts 1.0").then_some(())?;
            }
            Some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_keeps_a_node_out_and_is_named_on_both_sides() {
    let mut cluster = Cluster::new(3, 1);
    let wrong = cluster.path().join("wrong-token");
    std::fs::write(&wrong, "f".repeat(64)).unwrap();
    cluster.nodes[3].extra = vec!["--token-file".into(), wrong.display().to_string()];
    for i in 0..3 {
        cluster.start_node(i);
    }
    cluster.formed().await;
    cluster.start_node(3);
    cluster
        .until("both sides to say why", async || {
            let inside: String = (0..3).map(|i| cluster.log(i)).collect();
            let outside = cluster.log(3);
            (inside.contains("token") && outside.contains("token") && inside.contains(&cluster.nodes[3].ip.to_string()))
                .then_some(())
        })
        .await;
    let status = cluster.status(0).await.unwrap();
    assert_eq!(status.alive_peers, 2);
    assert!(cluster.status(3).await.unwrap().leader_id.is_none());
}
