//! What an operator does, through whatever node is at hand.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::time::Duration;

use cluster::Cluster;
use ringrift_api::Followed;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_passes_what_only_the_leader_can_do_on_to_it() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    cluster.formed().await;
    let worker = cluster.operator(3);
    let answer: Value = worker.post_json("/api/nodes/n4/cordon", &json!({"reason": "new disk"})).await.unwrap();
    assert_eq!((answer["changed"].as_bool(), answer["state"].as_str()), (Some(true), Some("cordoned")));
    let again: Value = worker.post_json("/api/nodes/n4/cordon", &json!({})).await.unwrap();
    assert_eq!(again["changed"], false, "it was so already");
    for i in 0..4 {
        let client = cluster.client(i);
        cluster
            .until("every node to know", async || {
                let nodes: Value = client.get_json("/api/nodes").await.ok()?;
                let n4 = nodes["nodes"].as_array()?.iter().find(|n| n["node_id"] == "n4")?.clone();
                (n4["eligibility"]["state"] == "cordoned" && n4["eligibility"]["reason"] == "new disk").then_some(())
            })
            .await;
        let status: Value = client.get_json("/status").await.unwrap();
        let nodes = status["nodes"].as_array().unwrap();
        assert!(nodes.iter().all(|n| (n["eligibility"] == "cordoned") == (n["node_id"] == "n4")), "{nodes:?}");
        let page: Value = client.get_json("/api/events?type=NODE_CORDONED").await.unwrap();
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), 1, "a repeated request is one event");
        assert_eq!(events[0]["node_id"], "n4");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_reads_answer_and_writes_fail_at_once() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    let leader = cluster.formed().await;
    for i in (0..3).filter(|i| *i != leader) {
        cluster.kill(i);
    }
    for i in [leader, 3] {
        let operator = cluster.operator(i);
        cluster
            .until("the loss to be noticed", async || {
                let status: Value = operator.get_json("/status").await.ok()?;
                status["leader_id"].is_null().then_some(())
            })
            .await;
        let asked = std::time::Instant::now();
        let (status, body) = cluster.raw(i, true, "POST", "/api/nodes/n4/cordon", b"{}").await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, body["error_code"].as_str()), (503, Some("NO_LEADER")), "{body}");
        assert_eq!(body["leader_id"], Value::Null);
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        let nodes: Value = operator.get_json("/api/nodes").await.unwrap();
        assert_eq!(nodes["nodes"].as_array().unwrap().len(), 4);
    }
    let status: Value = cluster.client(3).get_json("/status").await.unwrap();
    assert!(status["state_age_seconds"].as_f64().unwrap() > 0.0, "it says how stale it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_handed_to_whom_the_operator_names() {
    let mut cluster = Cluster::new(3, 0);
    cluster.start();
    let leader = cluster.formed().await;
    let (other, asked) = ((leader + 1) % 3, (leader + 2) % 3);
    let to = cluster.nodes[other].name.clone();
    // A voter that came a moment late to the founding does not vote yet: it is refused, and the leader goes on leading.
    let body = json!({"to": to}).to_string();
    let answer = cluster
        .until("the other one to be ready", async || {
            let (status, answer) = cluster.raw(asked, true, "POST", "/api/leader/transfer", body.as_bytes()).await;
            assert!(matches!(status, 200 | 409), "{status} {}", String::from_utf8_lossy(&answer));
            if status == 409 {
                assert!(cluster.status(leader).await?.is_leader, "a refusal costs nothing");
                return None;
            }
            serde_json::from_slice::<Value>(&answer).ok()
        })
        .await;
    assert_eq!(answer["leader_id"], json!(to));
    cluster
        .until("all to follow", async || {
            for i in 0..3 {
                (cluster.status(i).await?.leader_id?.as_str() == to).then_some(())?;
            }
            Some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_of_the_leader_hands_over_before_it_goes() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    let leader = cluster.formed().await;
    let term = cluster.status(3).await.unwrap().term;
    assert_eq!(cluster.terminate(leader), Some(0));
    let old = cluster.nodes[leader].name.clone();
    let status = cluster
        .until("a new leader, and the old one gone", async || {
            let status = cluster.status(3).await?;
            let leader = status.leader_id.clone()?;
            let left = status.all_peers.get(old.as_str()).map(|p| p.status.clone());
            (leader.as_str() != old && left.as_deref() == Some("left")).then_some(status)
        })
        .await;
    assert_eq!(status.term, term + 1, "one election, by transfer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_saved_is_a_snapshot_restored() {
    let mut cluster = Cluster::new(1, 1);
    cluster.start();
    cluster.formed().await;
    let operator = cluster.operator(1);
    let _: Value = operator.post_json("/api/nodes/n2/drain", &json!({"reason": "before"})).await.unwrap();
    let snapshot = operator.get_bytes("/api/snapshot").await.unwrap();
    let _: Value = operator.post_json("/api/nodes/n2/uncordon", &json!({})).await.unwrap();
    let (status, body) = cluster.raw(1, true, "POST", "/api/snapshot/restore", &snapshot).await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let nodes: Value = cluster.client(0).get_json("/api/nodes").await.unwrap();
    let n2 = nodes["nodes"].as_array().unwrap().iter().find(|n| n["node_id"] == "n2").unwrap().clone();
    assert_eq!(n2["eligibility"]["state"], "draining");
    let mut damaged = snapshot.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let (status, _) = cluster.raw(1, true, "POST", "/api/snapshot/restore", &damaged).await;
    assert_eq!(status, 400, "a flipped bit is found");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_as_they_happen() {
    let mut cluster = Cluster::new(1, 1);
    cluster.start();
    cluster.formed().await;
    let operator = cluster.operator(1);
    let first: Value = operator.get_json("/api/events?limit=1").await.unwrap();
    assert_eq!(first["events"][0]["seq"], 1);
    let since = operator.get_json::<Value>("/api/events").await.unwrap()["last_seq"].as_u64().unwrap();
    let mut follower = cluster.client(1).stream_events(since, None).await.unwrap();
    let _: Value = operator.post_json("/api/nodes/n2/cordon", &json!({})).await.unwrap();
    let event = tokio::time::timeout(cluster::PATIENCE, async {
        loop {
            if let Followed::Event(event) = follower.next().await.unwrap()
                && event.kind == "NODE_CORDONED"
            {
                return event;
            }
        }
    })
    .await
    .unwrap();
    assert!(event.seq > since);
}
