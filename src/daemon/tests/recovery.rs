//! Two of three voters are lost for good, and then one of them is not.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{process::Command, sync::Mutex};

use cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_of_the_old_generation_never_sees_a_quorum_and_ends_as_a_worker_of_the_new_one() {
    let mut cluster = Cluster::new(3, 0);
    let old_file = std::fs::read_to_string(cluster.hosts_file()).unwrap();
    cluster.start();
    cluster.formed().await;
    for i in 0..3 {
        cluster.kill(i);
    }
    let recovered = Command::new(env!("CARGO_BIN_EXE_ringrift-p2p"))
        .args(["recover", "--node-id", "n3", "--voters", "n3", "--the-majority-is-lost", "--state-dir"])
        .arg(&cluster.nodes[2].dir)
        .output()
        .unwrap();
    assert!(recovered.status.success(), "{recovered:?}");
    cluster.write_hosts(&cluster.hosts_text(&["n3".to_owned()], |_| String::new()));
    cluster.start_node(2);
    let recovered = cluster
        .until("the survivor to lead", async || cluster.status(2).await.filter(|status| status.is_leader))
        .await
        .cluster_id;

    // It has the old file and the old log.
    cluster.write_hosts(&old_file);
    cluster.start_node(1);
    let wrong = Mutex::new(Vec::new());
    cluster
        .until("the old voter to follow the new generation", async || {
            let status = cluster.status(1).await?;
            if status.role == "worker" {
                return (status.cluster_id == recovered && status.leader_id.is_some()).then_some(());
            }
            if status.voter_quorum_ok {
                wrong.lock().unwrap().push(format!("{}, {:?}", status.role, status.voter_health));
            }
            None
        })
        .await;
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "it took another cluster's vote for one of its own: {}", wrong[0]);
    let status = cluster.status(2).await.unwrap();
    assert!(status.is_leader && status.voter_node_ids.len() == 1, "{:?}", status.voter_node_ids);
}
