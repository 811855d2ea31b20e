//! GPUs as the outside sees them, with a library that has the driver's functions.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
#[path = "../../gpu/tests/fake/mod.rs"]
mod fake;

use std::fs;

use cluster::Cluster;
use fake::FakeNvml;
use ringrift_api::JobStatus;
use serde_json::{Value, json};

/// A voter with the fake driver, and a worker that the hosts file promises a GPU that it has not.
fn cluster(promised: &str) -> Option<(Cluster, FakeNvml)> {
    with_settings(promised, "")
}

/// The same with more settings.
fn with_settings(promised: &str, settings: &str) -> Option<(Cluster, FakeNvml)> {
    let more = |name: &str| {
        let gpu = if name == "n1" { promised } else { "RTX 3090" };
        format!("    gpu: {gpu}\n    gpu_vram_gb: 7\n")
    };
    let mut cluster = Cluster::with_hosts(1, 1, more);
    let fake = FakeNvml::build(cluster.dir.path())?;
    let file = cluster.dir.path().join("settings.yaml");
    fs::write(&file, fs::read_to_string(&file).unwrap() + settings).unwrap();
    cluster.nodes[0].extra = vec!["--nvml-library".into(), fake.library.display().to_string()];
    cluster.nodes[1].extra = vec!["--nvml-library".into(), "/nonexistent/libnvidia-ml.so.1".into()];
    cluster.start();
    Some((cluster, fake))
}

/// A route's answer once it is as it should be.
async fn until(cluster: &Cluster, node: usize, path: &str, is: impl Fn(&Value) -> bool) -> Value {
    let client = cluster.client(node);
    let wanted = async || client.get_json::<Value>(path).await.ok().filter(|answer| is(answer));
    cluster.until(&format!("the wanted answer of {path}"), wanted).await
}

fn component(health: &Value) -> &Value {
    health["components"].as_array().unwrap().iter().find(|component| component["name"] == "gpu").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_measured_counts_on_every_node_and_what_contradicts_the_hosts_file_is_named() {
    let Some((cluster, _fake)) = cluster("2x RTX 4090") else { return };
    let here = until(&cluster, 0, "/status", |status| status["self"]["gpu_state"] == "working").await;
    // Gossip carries it to the others.
    let there = until(&cluster, 1, "/status", |status| status["peers"]["n1"]["gpu_state"] == "working").await;
    for node in [&here["self"], &there["peers"]["n1"]] {
        assert_eq!((&node["has_gpu"], &node["gpu_count"]), (&true.into(), &2.into()), "{node}");
        assert_eq!(node["gpu_name"], "NVIDIA GeForce RTX 4090");
        assert_eq!(node["gpu_type"], "RTX 4090", "the file's word, since it is true");
        assert_eq!(node["gpu_memory_gb"], 48.0, "and not the file's figure");
        // Busy 90 % and 0 %; 6 of 48 GiB.
        assert_eq!((&node["gpu_percent"], &node["gpu_memory_percent"]), (&45.0.into(), &12.5.into()));
    }
    let health = until(&cluster, 0, "/health", |health| health["gpu_percent"] == 45.0).await;
    assert_eq!(health["gpu_memory_percent"], 12.5);
    let gpu = component(&health);
    // The fake driver has seen three memory errors and an Xid error that is no program's.
    assert_eq!(gpu["status"], "warning", "{gpu}");
    let message = gpu["message"].as_str().unwrap();
    assert!(message.contains("GPU 0: 3 uncorrected memory errors") && message.contains("Xid error 79"), "{message}");
    assert_eq!(gpu["details"]["gpus"][0]["processes"][0]["pid"], 4242, "{gpu}");
    assert_eq!((&gpu["details"]["driver"], &gpu["details"]["cuda"]), (&"580.82.07".into(), &"13.0".into()));
    let metrics = String::from_utf8(cluster.client(0).get_bytes("/metrics").await.unwrap().to_vec()).unwrap();
    let labels = "{gpu=\"0\",uuid=\"GPU-00000000-1111-2222-3333-444444444444\",model=\"NVIDIA GeForce RTX 4090\"}";
    for line in [
        "ringrift_gpu_percent{node=\"n1\",role=\"leader\"} 45.0",
        "ringrift_gpu_memory_percent{node=\"n1\",role=\"leader\"} 12.5",
        "ringrift_gpu_count{node=\"n1\",role=\"leader\"} 2.0",
        "ringrift_gpu_state{state=\"working\"} 1.0",
        "ringrift_gpu_state{state=\"hung\"} 0.0",
        "ringrift_gpu_hosts_file_mismatch 0.0",
        &format!("ringrift_gpu_utilization_percent{labels} 90.0"),
        &format!("ringrift_gpu_memory_used_bytes{labels} {}.0", 6_u64 << 30),
        &format!("ringrift_gpu_temperature_celsius{labels} 60.0"),
        &format!("ringrift_gpu_ecc_uncorrected_errors{labels} 3.0"),
        &format!("ringrift_gpu_xid_errors{labels} 2.0"),
        &format!("ringrift_gpu_processes{labels} 2.0"),
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line}:\n{metrics}");
    }

    // The other node has no GPU, whatever the file says.
    let without = until(&cluster, 0, "/status", |status| status["peers"]["n2"]["gpu_state"] == "no_library").await;
    let node = &without["peers"]["n2"];
    assert_eq!((&node["has_gpu"], &node["gpu_name"], &node["gpu_count"]), (&false.into(), &"".into(), &0.into()));
    let health = until(&cluster, 1, "/health", |health| component(health)["status"] == "warning").await;
    let said =
        "n2: the hosts file says `gpu: RTX 3090`, and the driver finds none (there is no NVIDIA driver library here";
    assert!(component(&health)["message"].as_str().unwrap().starts_with(said), "{health}");
    assert_eq!((&health["healthy"], &health["status"]), (&true.into(), &"degraded".into()));
    let warned = || cluster.log(1).lines().filter(|line| line.contains("WARN") && line.contains(said)).count();
    cluster.until("a warning in the log", async || (warned() > 0).then_some(())).await;
    // A second later it has looked again, four times.
    let uptime = |status: &Value| status["uptime_seconds"].as_f64().unwrap();
    let then = uptime(&until(&cluster, 1, "/status", |_| true).await) + 1.0;
    until(&cluster, 1, "/status", |status| uptime(status) > then).await;
    assert_eq!(warned(), 1, "said more than once:\n{}", cluster.log(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_hangs_is_told_of_and_the_daemon_goes_on() {
    let Some((cluster, fake)) = cluster("8x H100") else { return };
    until(&cluster, 0, "/status", |status| status["self"]["gpu_state"] == "working").await;
    let health = until(&cluster, 0, "/health", |health| component(health)["status"] == "warning").await;
    let said = "n1: the hosts file says `gpu: 8x H100`, and the driver finds 2x NVIDIA GeForce RTX 4090";
    assert!(component(&health)["message"].as_str().unwrap().starts_with(said), "{health}");

    fake.is("hang");
    let hung = until(&cluster, 0, "/health", |health| component(health)["details"]["state"] == "hung").await;
    let gpu = component(&hung);
    assert_eq!(gpu["status"], "error");
    assert!(gpu["message"].as_str().unwrap().starts_with("the NVIDIA driver is hung since "), "{gpu}");
    let managers = &hung["components"][0];
    assert_eq!((&managers["name"], &managers["status"]), (&"coordinator_managers".into(), &"ok".into()), "{hung}");
    let there = until(&cluster, 1, "/status", |status| status["peers"]["n1"]["gpu_state"] == "hung").await;
    let node = &there["peers"]["n1"];
    assert_eq!((&node["has_gpu"], &node["gpu_percent"]), (&false.into(), &0.0.into()), "{node}");
    assert_eq!(node["gpu_name"], "NVIDIA GeForce RTX 4090", "what it is does not change");

    fake.is("ok");
    until(&cluster, 0, "/status", |status| status["self"]["has_gpu"] == true).await;
    let log = cluster.log(0);
    for (level, text) in [
        ("INFO", "GPUs: 2x NVIDIA GeForce RTX 4090; driver 580.82.07, CUDA 13.0"),
        ("WARN", "the NVIDIA driver is hung since 10 s"),
    ] {
        assert!(log.lines().any(|line| line.contains(level) && line.contains(text)), "no {level} {text}:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_leaves_its_gpu_idle_is_stopped_and_tried_elsewhere_and_one_that_works_is_not() {
    let settings = "runner: plain\njobs_fill: false\ngpu_idle_threshold: 3s\njob_classes:\n  doze:\n    kind: selfplay\n    \
                    working_dir: /\n    argv: [/bin/sleep, '600']\n    needs: {gpu: 1, vram: 8G}\n    grace: 1s\n";
    let Some((cluster, _fake)) = with_settings("2x RTX 4090", settings) else { return };
    cluster.formed().await;
    until(&cluster, 0, "/status", |status| status["self"]["gpu_state"] == "working").await;
    // Of the fake driver's GPUs the first is busy, and the second does nothing.
    let mut on = Vec::new();
    for gpu in 0..2 {
        let answer: Value =
            cluster.operator(0).post_json("/api/jobs/submit", &json!({"job_type": "doze"})).await.unwrap();
        let id = answer["job_id"].as_str().unwrap().to_owned();
        let path = format!("/api/jobs/{id}");
        until(&cluster, 0, &path, |shown| shown["job"]["status"] == "running" && shown["job"]["gpus"] == json!([gpu]))
            .await;
        on.push(path);
    }
    let idle =
        until(&cluster, 0, &on[1], |shown| shown["history"].as_array().is_some_and(|tried| !tried.is_empty())).await;
    let tried = &idle["history"][0];
    assert_eq!((&tried["claimed_by"], &tried["attempt"]), (&json!("n1"), &json!(1)), "{idle}");
    assert!(tried["message"].as_str().unwrap().contains("its GPU was idle for too long"), "{idle}");
    // The only other node has no GPU, so it waits and says so.
    let waits = until(&cluster, 0, &on[1], |shown| shown["job"]["status"] == "pending").await;
    assert_eq!(waits["job"]["attempts"], 1, "{waits}");
    let events =
        until(&cluster, 0, "/api/events?type=JOB_SAFETY_NET", |page| !page["events"].as_array().unwrap().is_empty())
            .await;
    let event = &events["events"][0];
    assert_eq!((&event["details"]["net"], &event["node_id"]), (&json!("gpu_idle"), &json!("n1")), "{event}");
    let metrics = String::from_utf8(cluster.client(0).get_bytes("/metrics").await.unwrap().to_vec()).unwrap();
    assert!(metrics.lines().any(|line| line == "ringrift_job_safety_net{net=\"gpu_idle\"} 1.0"), "{metrics}");
    let busy: ringrift_api::JobShown = cluster.client(0).get_json(&on[0]).await.unwrap();
    assert_eq!((busy.job.status, busy.job.attempts, busy.history.len()), (JobStatus::Running, 1, 0));
}
