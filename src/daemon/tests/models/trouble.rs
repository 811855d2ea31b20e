//! Nodes that cannot have a model: dead, without a folder, with a full disk.

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf, process::Command};

use ringrift_api::ManifestState;
use serde_json::Value;

use crate::{
    bed::{HEX, digest, everywhere, keys, next_event, noise, of_node, promote, record, upload},
    cluster::Cluster,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_that_misses_a_dead_node_fails_by_name_and_completes_when_it_is_back() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.start();
    cluster.formed().await;
    cluster.kill(3);
    let sha256 = upload(&cluster, 0, &noise(50, 1_000_000)).await;
    promote(&cluster, 0, sha256).await.unwrap();
    let failed = next_event(&cluster, 0, 0, "MODEL_DISTRIBUTION_FAILED").await;
    assert_eq!(
        keys(&failed),
        ["config_key", "duration_seconds", "model_id", "nodes_failed", "nodes_succeeded", "reasons", "sha256"]
    );
    assert_eq!(failed.details["nodes_failed"], serde_json::json!(["n4"]));
    assert_eq!(failed.details["nodes_succeeded"], serde_json::json!(["n1", "n2", "n3"]));
    assert!(failed.details["reasons"]["n4"].as_str().unwrap().contains("not alive"), "{:?}", failed.details);
    // Another node hears of it a moment later.
    let other = cluster.client(1);
    let told = async || record(&other).await.filter(|entry| !entry.distribution.nodes_failed.is_empty());
    let entry = cluster.until("another node to know", told).await;
    assert_eq!(entry.distribution.nodes_failed[0].node_id.as_str(), "n4");

    cluster.start_node(3);
    let complete = next_event(&cluster, 0, failed.seq, "MODEL_DISTRIBUTION_COMPLETE").await;
    assert_eq!(complete.details["nodes_succeeded"], serde_json::json!(["n1", "n2", "n3", "n4"]));
    everywhere(&cluster, sha256).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_models_folder_cannot_be_used_votes_and_says_so() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    let (blocked, socket) = (cluster.nodes[2].dir.join("blocked"), cluster.nodes[2].dir.join("notify"));
    fs::write(&blocked, "a file where a folder should be").unwrap();
    let notified = UnixDatagram::bind(&socket).unwrap();
    notified.set_nonblocking(true).unwrap();
    cluster.nodes[2].extra = vec!["--models-dir".into(), blocked.join("models").display().to_string()];
    cluster.nodes[2].environment.push(("NOTIFY_SOCKET".into(), socket.display().to_string()));
    cluster.start();
    cluster.formed().await;
    assert!(cluster.status(0).await.unwrap().voter_health.voter_status["n3"].votes);

    let sha256 = upload(&cluster, 0, &noise(80, 1_000_000)).await;
    promote(&cluster, 0, sha256).await.unwrap();
    // Nobody waits for what cannot come.
    let failed = next_event(&cluster, 1, 0, "MODEL_DISTRIBUTION_FAILED").await;
    assert_eq!(failed.details["nodes_failed"], serde_json::json!(["n3"]));
    let reason = failed.details["reasons"]["n3"].as_str().unwrap();
    assert!(reason.contains("blocked"), "{reason}");

    let asked = cluster.client(0);
    let listed = async || of_node(&asked, "n3").await?.files.into_iter().find(|file| file.sha256 == sha256);
    let file = cluster.until("the manifest to list it", listed).await;
    assert_eq!(file.state, ManifestState::Missing);
    assert!(file.message.contains("blocked"), "{}", file.message);

    let health: Value = cluster.client(2).get_json("/health").await.unwrap();
    let models = health["components"].as_array().unwrap().iter().find(|c| c["name"] == "models").unwrap();
    assert_eq!(models["status"], "error", "{models}");
    assert!(models["message"].as_str().unwrap().contains("blocked"), "{models}");
    let text = cluster.client(2).get_bytes("/metrics").await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    for line in ["ringrift_component_health{component=\"models\"} 0", "ringrift_node_models_usable{node=\"n3\"} 0"] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}: {text}");
    }
    cluster
        .until("the line for systemd", async || {
            let mut said = [0; 4096];
            let length = notified.recv(&mut said).ok()?;
            let said = String::from_utf8_lossy(&said[..length]).into_owned();
            let line = said.lines().find_map(|line| line.strip_prefix("STATUS="))?;
            (line.contains("NO PART IN MODELS") && line.contains("blocked")).then_some(())
        })
        .await;

    let (status, body) = cluster.raw(2, true, "POST", "/api/models/verify", b"{}").await;
    assert_eq!(status, 503, "{}", String::from_utf8_lossy(&body));
    // Once somebody has made room for the folder, it takes part.
    fs::remove_file(&blocked).unwrap();
    cluster.terminate(2);
    cluster.start_node(2);
    next_event(&cluster, 1, failed.seq, "MODEL_DISTRIBUTION_COMPLETE").await;
    assert_eq!(digest(&fs::read(blocked.join("models").join(HEX)).unwrap()), sha256);
}

/// The models folder of the last node on a small filesystem of its own, which nobody else sees and which ends with the daemon.
fn on_a_small_disk(cluster: &mut Cluster, index: usize) -> bool {
    let node = &mut cluster.nodes[index];
    let models = node.dir.join("models");
    fs::create_dir_all(&models).unwrap();
    // The store leaves 1 GiB of each disk free; a file of 60 MiB takes the rest.
    let mount = r#"mount -t tmpfs -o size=1088m tmpfs "$0" && exec "$@""#;
    let unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount].map(str::to_owned);
    node.wrapper = unshare.into_iter().chain([models.display().to_string()]).collect();
    let tried = Command::new(&node.wrapper[0]).args(&node.wrapper[1..]).arg("true").output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_full_says_so_keeps_what_it_has_and_goes_on_when_there_is_room() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    if !on_a_small_disk(&mut cluster, 2) {
        eprintln!("SKIPPED: no filesystem can be mounted here (it needs root); a full disk was not tried");
        return;
    }
    cluster.start();
    cluster.formed().await;
    let models = PathBuf::from(format!("/proc/{}/root", cluster.pid(2)))
        .join(cluster.nodes[2].dir.join("models").strip_prefix("/").unwrap());
    let held = || fs::read(models.join(HEX)).map(|bytes| digest(&bytes)).ok();
    let first = upload(&cluster, 0, &noise(85, 1_000_000)).await;
    promote(&cluster, 0, first).await.unwrap();
    cluster.until("the first version on the small disk", async || (held() == Some(first)).then_some(())).await;

    let filler = fs::File::create(models.join(".filler")).unwrap();
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, 62 << 20).unwrap();
    drop(filler);
    let second = upload(&cluster, 0, &noise(86, 4_000_000)).await;
    let since = next_event(&cluster, 0, 0, "MODEL_DISTRIBUTION_COMPLETE").await.seq;
    promote(&cluster, 0, second).await.unwrap();
    let failed = next_event(&cluster, 0, since, "MODEL_DISTRIBUTION_FAILED").await;
    assert_eq!(failed.details["nodes_failed"], serde_json::json!(["n3"]));
    let reason = failed.details["reasons"]["n3"].as_str().unwrap();
    assert!(reason.contains("no room"), "{reason}");
    let client = cluster.client(2);
    // The others hear of it by gossip, and it looks again now and then whether there is room.
    cluster
        .until("the others to know", async || {
            let files = of_node(&cluster.client(0), "n3").await?.files;
            let file = files.into_iter().find(|file| file.sha256 == second)?;
            (file.state == ManifestState::NoSpace).then_some(())
        })
        .await;
    cluster
        .until("it to say so itself", async || {
            let health: Value = client.get_json("/health").await.ok()?;
            let component = health["components"].as_array()?.iter().find(|c| c["name"] == "models")?.clone();
            let warned = component["status"] == "warning";
            (warned && component["message"].as_str()?.contains("no room on the disk of")).then_some(())
        })
        .await;
    let full = "ringrift_node_models_disk_full{node=\"n3\"} 1";
    cluster
        .until("the metric of it", async || {
            let text = String::from_utf8(client.get_bytes("/metrics").await.ok()?.to_vec()).unwrap();
            text.lines().any(|line| line.starts_with(full)).then_some(())
        })
        .await;
    // Whole is what was whole, and nothing is half.
    assert_eq!(held(), Some(first));
    let names: Vec<String> =
        fs::read_dir(&models).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 4, "{names:?}");

    fs::remove_file(models.join(".filler")).unwrap();
    next_event(&cluster, 0, failed.seq, "MODEL_DISTRIBUTION_COMPLETE").await;
    assert_eq!(held(), Some(second));
    cluster
        .until("it to be well again", async || {
            let health: Value = client.get_json("/health").await.ok()?;
            let component = health["components"].as_array()?.iter().find(|c| c["name"] == "models")?.clone();
            (component["status"] == "ok").then_some(())
        })
        .await;
}
