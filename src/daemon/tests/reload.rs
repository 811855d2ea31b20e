//! The hosts file is read again: the voters follow it, and only ever safely.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::collections::BTreeSet;

use cluster::Cluster;
use ringrift_api::Status;
use serde_json::Value;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn voters(status: &Status) -> BTreeSet<String> {
    status.voter_node_ids.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_becomes_a_voter_and_a_voter_a_worker() {
    let mut cluster = Cluster::new(3, 2);
    cluster.start();
    cluster.formed().await;
    let list = names(&["n2", "n3", "n4"]);
    cluster.write_hosts(&cluster.hosts_text(&list, |_| String::new()));
    // Every node gets the new file; the first one that asks changes the voters.
    for i in [3, 0, 1, 2, 4] {
        cluster.signal(i, "HUP");
    }
    let wanted: BTreeSet<String> = list.into_iter().collect();
    cluster
        .until("the new voters to be in force everywhere", async || {
            for i in 0..5 {
                let status = cluster.status(i).await?;
                (voters(&status) == wanted && status.leader_id.is_some()).then_some(())?;
            }
            (cluster.status(0).await?.role == "worker").then_some(())
        })
        .await;
    // Also when the leader has taken itself out, the change is written down: an old file is known by it.
    cluster
        .until("the change to be in the event log", async || {
            let page: Value = cluster.client(4).get_json("/api/events?type=VOTERS_CHANGED").await.ok()?;
            (!page["events"].as_array()?.is_empty()).then_some(())
        })
        .await;
    let old: Status = cluster.status(0).await.unwrap();
    let index = old.state_index;
    // The former voter reads on: what is agreed from now on reaches it.
    let operator = cluster.operator(0);
    let _: Value = operator.post_json("/api/nodes/n5/cordon", &serde_json::json!({})).await.unwrap();
    cluster.until("it to follow", async || (cluster.status(0).await?.state_index > index).then_some(())).await;
    // The new voters carry the cluster without the old one.
    cluster.kill(0);
    cluster.kill(1);
    cluster
        .until("a leader among two of three", async || {
            let leader = cluster.status(3).await?.leader_id?;
            (leader.as_str() != "n1" && leader.as_str() != "n2").then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_would_leave_no_quorum_or_is_wrong_is_refused_with_a_reason() {
    let mut cluster = Cluster::new(3, 2);
    cluster.start();
    cluster.formed().await;
    let before = voters(&cluster.status(4).await.unwrap());
    cluster.kill(3);
    cluster
        .until("n4's death to be seen", async || {
            let status = cluster.status(4).await?;
            (status.dead_peers == 1).then_some(())
        })
        .await;
    let without_voters = cluster.hosts_text(&[], |_| String::new()).replace("p2p_voters: []\n", "");
    for (text, expected) in [
        (cluster.hosts_text(&names(&["n4"]), |_| String::new()), "n4"),
        (cluster.hosts_text(&names(&["n1", "nobody", "n2"]), |_| String::new()), "nobody"),
        ("hosts: [1, 2".to_owned(), "hosts.yaml:"),
        ("p2p_voters: [n1]\nhosts:\n  n1: {ssh_host: h, status: ready}\n".to_owned(), "this node is n5"),
        (without_voters, "p2p_voters: missing"),
    ] {
        cluster.write_hosts(&text);
        let (status, body) = cluster.raw(4, true, "POST", "/api/reload", b"").await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, body["error_code"].as_str()), (409, Some("REFUSED")), "{body}");
        assert!(body["error"].as_str().unwrap().contains(expected), "{body}");
    }
    assert_eq!(voters(&cluster.status(4).await.unwrap()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_file_does_not_bring_the_old_voters_back() {
    let mut cluster = Cluster::new(3, 1);
    let old_text = std::fs::read_to_string(cluster.hosts_file()).unwrap();
    cluster.start();
    cluster.formed().await;
    cluster.write_hosts(&cluster.hosts_text(&names(&["n1", "n2", "n4"]), |_| String::new()));
    let (status, body) = cluster.raw(3, true, "POST", "/api/reload", b"").await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    // n3 votes no more, and has to find a voter to follow first.
    cluster.until("n3 to follow", async || cluster.status(2).await?.leader_id).await;
    cluster.write_hosts(&old_text);
    let (status, body) = cluster.raw(2, true, "POST", "/api/reload", b"").await;
    let body = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(status, 409, "{body}");
    assert!(body.contains("old copy"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_was_taken_out_while_it_was_down_is_a_worker_when_it_comes_back() {
    let mut cluster = Cluster::new(3, 1);
    cluster.start();
    let leader = cluster.formed().await;
    let away = (leader + 1) % 3;
    let old = cluster.nodes[away].name.clone();
    cluster.kill(away);
    let list: Vec<String> = cluster.nodes.iter().map(|n| n.name.clone()).filter(|n| *n != old).collect();
    cluster.write_hosts(&cluster.hosts_text(&list, |_| String::new()));
    cluster
        .until("the others to do without it", async || {
            let (status, _) = cluster.raw(3, true, "POST", "/api/reload", b"").await;
            (status == 200).then_some(())
        })
        .await;
    cluster.start_node(away);
    let wanted: BTreeSet<String> = list.into_iter().collect();
    cluster
        .until("it to know the voters in force", async || {
            let status = cluster.status(away).await?;
            (voters(&status) == wanted && status.role == "worker" && status.leader_id.is_some()).then_some(())
        })
        .await;
    let term = cluster.status(3).await.unwrap().term;
    assert_eq!(cluster.status(away).await.unwrap().term, term, "and it disturbed nobody");
}
