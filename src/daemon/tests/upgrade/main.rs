//! State directories that earlier daemons wrote: today's starts on each of them and knows all that was agreed.
//!
//! A change of what is on the disk comes with a new one, written by the daemon from before the change and kept beside the others:
//!
//! ```console
//! $ UPGRADE_WRITE=NAME cargo test -p ringrift-p2p --test upgrade
//! ```

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../models/bed.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod bed;
#[path = "../cluster/mod.rs"]
mod cluster;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use ringrift_api::{CordonRequest, EligibilityChanged};
use serde_json::{Value, json};

use self::cluster::Cluster;

const CLASSES: &str = r"
runner: plain
jobs_fill: false
job_classes:
  end:
    kind: selfplay
    working_dir: /
    argv: [/bin/true]
";

/// More than the entries after which a voter writes a snapshot, so that there is one beside the log.
const CHANGES: usize = 2100;

/// What the cluster agreed on, beside its directory.
const AGREED: &str = "agreed.json";

/// Three voters and a worker, as all of these directories were written by.
fn cluster() -> Cluster {
    let cluster = Cluster::new(3, 1);
    let settings = cluster.path().join("settings.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text + CLASSES).unwrap();
    cluster
}

fn written() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrade")
}

/// All that is asked of a state, without what is of the moment.
async fn agreed(cluster: &Cluster) -> Value {
    let client = cluster.operator(0);
    let get = async |path: &str| -> Value { client.get_json(path).await.unwrap() };
    let status = get("/status").await;
    let only = |list: &Value, keys: &[&str]| -> Vec<Value> {
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| keys.iter().map(|key| ((*key).to_owned(), entry[*key].clone())).collect()).collect()
    };
    let jobs = get("/api/jobs?consistent=true").await;
    let models = get("/api/models?consistent=true").await;
    let nodes = get("/api/nodes?consistent=true").await;
    // The last page of them.
    let last = get("/api/events?consistent=true&since=18446744073709551615").await["last_seq"].as_u64().unwrap();
    let events = get(&format!("/api/events?since={}&consistent=true", last.saturating_sub(200))).await;
    let of_operators = |event: &Value| !event["type"].as_str().unwrap().contains("LEADER");
    let kept: Vec<Value> =
        events["events"].as_array().unwrap().iter().filter(|event| of_operators(event)).cloned().collect();
    json!({
        "cluster_id": status["cluster_id"],
        "jobs": only(&jobs["jobs"], &["job_id", "job_type", "status", "attempts", "requested_by"]),
        "models": only(&models["models"], &["name", "sha256", "size", "elo"]),
        "nodes": only(&nodes["nodes"], &["node_id", "eligibility"]),
        "events": only(&Value::Array(kept), &["seq", "type"]),
    })
}

async fn cordon(cluster: &Cluster, node: &str, deed: &str) {
    let request = CordonRequest { by: Some("the test".into()), reason: Some("before the upgrade".into()) };
    let path = format!("/api/nodes/{node}/{deed}");
    bed::led(cluster, async || cluster.operator(0).post_json::<EligibilityChanged>(&path, &request).await)
        .await
        .unwrap();
}

async fn until_done(cluster: &Cluster, job: &str) {
    let path = format!("/api/jobs/{job}");
    cluster
        .until(&format!("{job} to be done"), async || {
            let shown: Value = cluster.client(0).get_json(&path).await.ok()?;
            (shown["job"]["status"] == "completed" || shown["status"] == "completed").then_some(())
        })
        .await;
}

/// A bit of everything: models, a job that ran, one that waits, nodes that get no work.
async fn write(name: &str) {
    let mut cluster = cluster();
    cluster.start();
    cluster.formed().await;
    bed::give_everybody(&cluster, 1, &bed::noise(1, 3000)).await;
    bed::give_everybody(&cluster, 2, &bed::noise(2, 2000)).await;
    let submit = async |cluster: &Cluster| -> String {
        let body = json!({"job_type": "end", "by": "the test"});
        let answer: Value = cluster.operator(0).post_json("/api/jobs/submit", &body).await.unwrap();
        answer["job_id"].as_str().unwrap().to_owned()
    };
    let done = submit(&cluster).await;
    until_done(&cluster, &done).await;
    for change in 0..CHANGES {
        cordon(&cluster, "n1", if change % 2 == 0 { "cordon" } else { "uncordon" }).await;
    }
    for node in ["n1", "n2", "n3"] {
        cordon(&cluster, node, "cordon").await;
    }
    cordon(&cluster, "n4", "drain").await;
    submit(&cluster).await;
    let agreed = agreed(&cluster).await;
    for node in 0..cluster.nodes.len() {
        assert_eq!(cluster.terminate(node), Some(0));
        let _ = fs::remove_file(cluster.nodes[node].dir.join("log"));
    }
    fs::write(cluster.path().join(AGREED), serde_json::to_string_pretty(&agreed).unwrap()).unwrap();
    let tar = Command::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-czf"])
        .arg(written().join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(cluster.path())
        .args(["n1", "n2", "n3", "n4", AGREED])
        .status();
    assert!(tar.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_daemon_agreed_on_is_known_and_goes_on() {
    if let Some(name) = env::var_os("UPGRADE_WRITE") {
        write(name.to_str().unwrap()).await;
        return;
    }
    let mut tried = 0;
    for entry in fs::read_dir(written()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            eprintln!("{}", path.display());
            goes_on_from(&path).await;
            tried += 1;
        }
    }
    assert!(tried > 0, "no state directory of an earlier daemon in {}", written().display());
}

async fn goes_on_from(archive: &Path) {
    let mut cluster = cluster();
    let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(cluster.path()).status();
    assert!(tar.unwrap().success());
    let mut before: Value = serde_json::from_slice(&fs::read(cluster.path().join(AGREED)).unwrap()).unwrap();
    // The addresses are others than then.
    cluster.start();
    cluster.formed().await;
    let mut now = agreed(&cluster).await;
    // The oldest events make room for what it tells of itself since.
    let (first, last) =
        (now["events"][0]["seq"].as_u64(), before["events"].as_array().unwrap().last().unwrap()["seq"].as_u64());
    for state in [&mut before, &mut now] {
        let kept = |event: &Value| (first..=last).contains(&event["seq"].as_u64());
        state["events"].as_array_mut().unwrap().retain(kept);
    }
    assert_eq!(before, now, "{}", archive.display());
    assert_ne!(before["events"], json!([]), "{}", archive.display());

    // Every model that was current is there, byte for byte, and the job that waited runs.
    let sha256 = bed::record(&cluster.client(0)).await.unwrap().sha256;
    bed::everywhere(&cluster, sha256).await;
    let waits = before["jobs"].as_array().unwrap().iter().find(|job| job["status"] != "completed").unwrap();
    cordon(&cluster, "n4", "uncordon").await;
    until_done(&cluster, waits["job_id"].as_str().unwrap()).await;
}
