//! Quirks of the hosts file (contract §3) that only a running daemon can show.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use cluster::{Cluster, PATIENCE, own_address};
use ringrift_api::{Client, Status};

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a node that is alone tells others to dial, with these lines in the hosts file and these variables.
async fn advertised(lines: &str, variables: &[(&str, &str)]) -> (String, String) {
    let (dir, ip) = (tempfile::tempdir().unwrap(), own_address());
    let hosts = dir.path().join("hosts.yaml");
    fs::write(&hosts, format!("hosts:\n  n1:\n    status: ready\n    role: mixed\n{lines}")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_ringrift-p2p"))
        .env_clear()
        .envs(variables.iter().copied())
        .args(["run", "--stop-on-eof", "--single-node", "--settings", "none", "--node-id", "n1"])
        .arg("--hosts")
        .arg(hosts)
        .arg("--state-dir")
        .arg(dir.path())
        .args(["--bind-addr", &ip.to_string()])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let _node = Ended(child.unwrap());
    let client = Client::new(&format!("http://{ip}:8770"), None).unwrap();
    let status = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Ok(status) = client.get_json::<Status>("/status").await {
                break status;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    (status.await.unwrap().network.advertise_host, ip.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn others_dial_the_variables_address_then_the_tailnets_then_the_ssh_host_then_the_one_found() {
    let both = "    tailscale_ip: 100.64.0.7\n    ssh_host: 198.51.100.7\n";
    let forwarder = "    ssh_host: r\n    ssh_port: 1\n  n2: {ssh_host: r, ssh_port: 2, status: ready, role: mixed}\n";
    for (lines, variables, expected) in [
        (both, &[("RINGRIFT_ADVERTISE_HOST", "203.0.113.7")][..], Some("203.0.113.7")),
        (both, &[("RINGRIFT_P2P_ADVERTISE_HOST", "203.0.113.8")], Some("203.0.113.8")),
        (both, &[], Some("100.64.0.7")),
        ("    ssh_host: 198.51.100.7\n", &[], Some("198.51.100.7")),
        (forwarder, &[], None),
        ("    ssh_host: localhost\n  n2: {ssh_host: h, status: ready, role: mixed}\n", &[], None),
    ] {
        let (told, found) = advertised(lines, variables).await;
        assert_eq!(told, expected.map_or(found, str::to_owned), "{lines}{variables:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_copy_of_the_file_does_not_shrink_the_quorum() {
    let mut cluster = Cluster::new(3, 0);
    cluster.start();
    let leader = cluster.formed().await;
    for i in (0..3).filter(|i| *i != leader) {
        cluster.kill(i);
    }
    cluster.terminate(leader);
    // By this file it would be the only voter, and a majority all by itself.
    let alone = cluster.hosts_text(&[cluster.nodes[leader].name.clone()], |_| String::new());
    cluster.write_hosts(&alone);
    cluster.start_node(leader);
    let status = cluster
        .until("the voters in force", async || {
            let status = cluster.status(leader).await?;
            (status.voter_node_ids.len() == 3).then_some(status)
        })
        .await;
    assert_eq!((status.voter_quorum_size, status.voter_quorum_ok, status.is_leader), (2, false, false));
    cluster
        .until("a warning that names the difference", async || {
            cluster.log(leader).lines().any(|l| l.contains("WARN") && l.contains("name other voters")).then_some(())
        })
        .await;
    assert!(cluster.status(leader).await.is_none_or(|s| s.leader_id.is_none()), "it made itself the leader");
}
