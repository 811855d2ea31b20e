//! Jobs of a real cluster: placed, run, explained, stopped, moved.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::fs;

use cluster::Cluster;
use ringrift_api::{JobShown, JobStatus, NodeJobs};
use serde_json::{Value, json};

/// Classes that every machine can run.
const CLASSES: &str = r#"
runner: plain
jobs_fill: false
reconnect_window: 2s
work_queue_hard_limit: 12
work_queue_soft_limit: 6
job_classes:
  echo:
    kind: selfplay
    working_dir: /
    argv: [/bin/sh, -c, 'echo "$RINGRIFT_JOB_ID says $1"; exit "$2"', sh, "{word}", "{code}"]
    params:
      word: {type: word, default: hello, aliases: [board_type]}
      code: {type: integer, min: 0, max: 9, default: 0}
    attempts: 2
    aliases: [talk]
  doze:
    kind: selfplay
    working_dir: /
    argv: [/bin/sleep, "{seconds}"]
    params: {seconds: {type: integer, min: 0, max: 60, default: 60}}
    grace: 1s
"#;

fn cluster(voters: usize, workers: usize) -> Cluster {
    let cluster = Cluster::new(voters, workers);
    let settings = cluster.path().join("settings.yaml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text + CLASSES).unwrap();
    cluster
}

/// Asks for a job through a node, and returns its id.
async fn submit(cluster: &Cluster, through: usize, body: Value) -> String {
    let answer: Value = cluster.operator(through).post_json("/api/jobs/submit", &body).await.unwrap();
    answer["job_id"].as_str().unwrap().to_owned()
}

async fn until(cluster: &Cluster, through: usize, id: &str, what: JobStatus) -> JobShown {
    let client = cluster.client(through);
    let id = id.parse().unwrap();
    cluster
        .until(&format!("{id} to be {what}"), async || {
            let shown = client.job(&id).await.ok()?;
            (shown.job.status == what).then_some(shown)
        })
        .await
}

async fn here(cluster: &Cluster, index: usize) -> NodeJobs {
    cluster.client(index).jobs_here().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_and_all_nodes_know_how_it_ended() {
    let mut cluster = cluster(3, 1);
    cluster.start();
    cluster.formed().await;
    let id =
        submit(&cluster, 3, json!({"job_type": "talk", "word": "hi", "engine_mode": "mixed", "by": "a test"})).await;
    until(&cluster, 0, &id, JobStatus::Completed).await;
    // What follows is asked of the worker, which hears of it last.
    let done = until(&cluster, 3, &id, JobStatus::Completed).await.job;
    assert_eq!((done.attempts, done.job_type.as_str(), done.requested_by.as_str()), (1, "echo", "a test"));
    assert!(done.ending.unwrap().how.is_success());
    let log: Value = cluster.operator(3).get_json(&format!("/api/jobs/{id}/log?lines=5")).await.unwrap();
    assert_eq!(log["lines"][0]["text"], format!("{id} says hi"));
    assert_eq!((log["ended"].as_bool(), log["node_id"].as_str()), (Some(true), done.claimed_by.as_deref()));

    // One that fails is tried as often as its class says, and tells of each time.
    let id = submit(&cluster, 1, json!({"job_type": "echo", "params": {"code": 3}})).await;
    let failed = until(&cluster, 3, &id, JobStatus::Failed).await;
    assert_eq!((failed.job.attempts, failed.history.len()), (2, 2));
    assert!(failed.job.error.unwrap().contains("exited with status 3"));
    let client = cluster.client(3);
    cluster
        .until("nothing to run or wait", async || {
            let status: Value = client.get_json("/status").await.ok()?;
            (status["active_jobs"] == 0 && status["work_queue_size"] == 0).then_some(())
        })
        .await;
    let events: Value = cluster.client(3).get_json("/api/events").await.unwrap();
    let kinds: Vec<&str> = events["events"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
    // Not JOB_STARTED: a run so short may be over when its node first looks.
    for kind in ["JOB_SUBMITTED", "JOB_ENDED", "JOB_FAILED"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }

    // What makes no sense is refused with the reason, and what would say what runs with a plain one.
    for (body, said) in [
        (json!({"job_type": "chess"}), "there are doze, echo, evaluation"),
        (json!({"job_type": "echo", "code": 10}), "a whole number from 0 to 9"),
        (json!({"job_type": "echo", "params": {"argv": "rm"}}), "never taken from a request"),
        (json!({"job_type": "echo", "depends_on": ["echo-gone"]}), "no such job"),
        (json!({"job_type": "echo", "limits": {"cpu_weight": 0}}), "1 to 10000"),
    ] {
        let (status, answer) = cluster.raw(3, true, "POST", "/api/jobs/submit", body.to_string().as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(status == 400 && answer.contains(said), "{body}: {status} {answer}");
    }
    let (status, _) = cluster.raw(3, false, "POST", "/api/jobs/submit", br#"{"job_type":"echo"}"#).await;
    assert_eq!(status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_outlives_its_daemon_and_can_be_stopped() {
    let mut cluster = cluster(3, 0);
    cluster.start();
    cluster.formed().await;
    let id = submit(&cluster, 0, json!({"job_type": "doze"})).await;
    let node = until(&cluster, 0, &id, JobStatus::Running).await.job.node_id.unwrap();
    let index = cluster.index_of(node.as_str()).unwrap();
    let running = |jobs: &NodeJobs| jobs.jobs.iter().find(|job| job.status == "running").map(|job| job.pid);
    let before = cluster.until("the node to show it", async || running(&here(&cluster, index).await)).await;
    cluster.kill(index);
    cluster.start_node(index);
    let client = cluster.client(index);
    let after = cluster.until("it to be adopted", async || running(&client.jobs_here().await.ok()?)).await;
    assert_eq!(before, after, "it is the same process");

    // The node that was killed may have led.
    let asked = cluster.client((index + 1) % 3);
    let why: Value =
        cluster.until("a leader to say why", async || asked.get_json(&format!("/api/jobs/{id}/why")).await.ok()).await;
    assert!(why["summary"].as_str().unwrap().contains(node.as_str()), "{why}");
    let (status, answer) = cluster.raw(index, true, "POST", &format!("/api/jobs/{id}/cancel"), b"").await;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    let cancelled = until(&cluster, 0, &id, JobStatus::Cancelled).await;
    assert_eq!(cancelled.job.attempts, 1);
    cluster.until("nothing to run", async || client.jobs_here().await.ok()?.jobs.is_empty().then_some(())).await;
    assert!(!std::path::Path::new(&format!("/proc/{after}")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_nodes_job_goes_elsewhere_and_its_old_run_is_stopped_on_return() {
    let mut cluster = cluster(3, 1);
    cluster.start();
    cluster.formed().await;
    let id = submit(&cluster, 0, json!({"job_type": "doze", "node_id": "n4"})).await;
    until(&cluster, 0, &id, JobStatus::Running).await;
    let other = submit(&cluster, 0, json!({"job_type": "doze", "seconds": 50})).await;
    until(&cluster, 0, &other, JobStatus::Running).await;
    // The pinned one waits for its node; the other one goes on, unless it is there too.
    cluster.kill(3);
    let waiting = until(&cluster, 0, &id, JobStatus::Pending).await;
    assert_eq!(waiting.history.len(), 1);
    assert!(waiting.job.message.contains("is lost"), "{}", waiting.job.message);
    cluster.start_node(3);
    let again = until(&cluster, 0, &id, JobStatus::Running).await.job;
    assert_eq!((again.attempts, again.node_id.as_ref().map(ToString::to_string)), (2, Some("n4".to_owned())));
    let client = cluster.client(3);
    let attempts = cluster
        .until("the old run to be gone", async || {
            let jobs = client.jobs_here().await.ok()?.jobs;
            let attempts: Vec<u32> =
                jobs.iter().filter(|job| job.job_id.as_str() == id).map(|job| job.attempt).collect();
            (attempts == [2]).then_some(attempts)
        })
        .await;
    assert_eq!(attempts, [2]);
    let events: Value = cluster.client(0).get_json("/api/events?type=JOB_MOVED").await.unwrap();
    let moved = events["events"].as_array().unwrap().iter().any(|event| event["details"]["job_id"] == id);
    assert!(moved, "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_has_an_end_and_workers_take_from_it() {
    let mut cluster = cluster(1, 0);
    cluster.start();
    cluster.formed().await;
    let node = cluster.operator(0);
    // Nothing runs here by itself: workers come for it.
    let _: Value = node.post_json("/api/nodes/n1/cordon", &json!({})).await.unwrap();
    let added: Value = node
        .post_json("/work/add", &json!({"work_type": "echo", "priority": 70, "config": {"word": "a"}}))
        .await
        .unwrap();
    assert_eq!((added["status"].as_str(), &added["job_id"]), (Some("added"), &added["work_id"]));
    let items: Vec<Value> = (0..11).map(|n| json!({"work_type": "echo", "config": {"code": n}})).collect();
    let batch: Value = node.post_json("/work/add_batch", &json!({"jobs": items})).await.unwrap();
    assert_eq!((batch["count"].as_u64(), batch["success"].as_bool()), (Some(10), Some(false)));
    assert!(batch["errors"][0].as_str().unwrap().contains("item 10"), "{batch}");
    node.post_json::<Value>("/work/add", &json!({"work_type": "echo"})).await.unwrap();
    let (status, answer) = cluster.raw(0, true, "POST", "/work/add", br#"{"work_type":"echo"}"#).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((status, answer["error_code"].as_str()), (429, Some("QUEUE_FULL")), "{answer}");
    let told = async |kind: &str| {
        let page: Value = node.get_json(&format!("/api/events?type={kind}")).await.ok()?;
        let events = page["events"].as_array()?;
        events.first().filter(|event| event["details"]["hard_limit"] == 12).map(|_| events.len())
    };
    cluster.until("the full queue to be an event", async || told("WORK_QUEUE_FULL").await).await;
    let metrics = node.get_bytes("/metrics").await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics);
    for line in [
        "ringrift_work_queue_total 12.0",
        "ringrift_work_queue_limit{limit=\"soft\"} 6.0",
        "ringrift_work_queue_limit{limit=\"hard\"} 12.0",
        "ringrift_work_queue_refused_total 1",
        "ringrift_jobs_dispatch_failed_total 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "no {line}:\n{metrics}");
    }
    let queue: Value = node.get_json("/work/status").await.unwrap();
    assert_eq!((queue["total_items"].as_u64(), queue["backpressure"]["level"].as_str()), (Some(12), Some("hard")));

    // The most urgent first, by query or by body; each once.
    let first: Value = node.get_json("/work/claim?node_id=w1&capabilities=echo,doze").await.unwrap();
    assert_eq!((first["status"].as_str(), &first["work"]["work_id"]), (Some("claimed"), &added["work_id"]));
    let second: Value =
        node.post_json("/work/claim", &json!({"node_id": "w2", "capabilities": ["selfplay"]})).await.unwrap();
    assert_ne!(first["work"]["work_id"], second["work"]["work_id"]);
    let nothing: Value = node.get_json("/work/claim?node_id=w3&capabilities=training").await.unwrap();
    assert_eq!(nothing["status"], "no_work_available");
    let id = first["work"]["work_id"].clone();
    let say = async |what: &str, by: &str| -> Value {
        node.post_json(&format!("/work/{what}"), &json!({"work_id": id, "node_id": by})).await.unwrap()
    };
    assert_eq!(say("start", "w1").await["status"], "started");
    assert_eq!(say("complete", "w2").await["status"], "unchanged", "it is not its own");
    assert_eq!(say("complete", "w1").await["status"], "completed");
    assert_eq!(say("fail", "w1").await["status"], "unchanged", "it is over");
    let history: Value = node.get_json("/work/history").await.unwrap();
    assert_eq!((&history["items"][0]["work_id"], history["by_status"]["completed"].as_u64()), (&id, Some(1)));
    let (status, _) = cluster.raw(0, false, "GET", "/work/claim?node_id=w1", b"").await;
    assert_eq!(status, 401, "a claim changes what is there");
    let stopped: Value = node.post_json("/stop_job", &json!({"job_id": second["work"]["work_id"]})).await.unwrap();
    assert_eq!(stopped["status"], "cancelled");
    let (status, _) = cluster.raw(0, true, "POST", "/stop_job", br#"{"job_id":"echo-gone"}"#).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_too_full_takes_no_job_and_says_why() {
    let mut cluster = cluster(1, 0);
    // Every disk has something on it.
    cluster.nodes[0].extra = ["--disk-critical-threshold", "1"].map(str::to_owned).into();
    cluster.start();
    cluster.formed().await;
    let client = cluster.client(0);
    let full = |reasons: &[String]| reasons.iter().any(|reason| reason.starts_with("disk at"));
    cluster.until("it to refuse", async || full(&client.jobs_here().await.ok()?.refuses).then_some(())).await;
    let id = submit(&cluster, 0, json!({"job_type": "echo"})).await;
    cluster
        .until("the reason to be told", async || {
            let why: Value = client.get_json(&format!("/api/jobs/{id}/why")).await.ok()?;
            let node = why["nodes"][0].clone();
            (node["verdict"] == "passed_over" && node["reason"].as_str()?.contains("disk at")).then_some(())
        })
        .await;
    assert_eq!(until(&cluster, 0, &id, JobStatus::Pending).await.job.attempts, 0);
    cluster
        .until("the safety net to be an event", async || {
            let page: Value = client.get_json("/api/events?type=JOB_SAFETY_NET").await.ok()?;
            let told = page["events"].as_array()?.iter().find(|event| event["details"]["net"] == "full")?;
            told["message"].as_str()?.starts_with("n1: disk at").then_some(())
        })
        .await;
    let metrics = client.get_bytes("/metrics").await.unwrap();
    let metrics = String::from_utf8_lossy(&metrics);
    assert!(metrics.lines().any(|line| line == "ringrift_job_safety_net{net=\"full\"} 1.0"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_brings_other_classes_without_a_restart_and_leaves_alone_what_runs() {
    let mut cluster = cluster(1, 0);
    cluster.start();
    cluster.formed().await;
    let file = cluster.path().join("settings.yaml");
    let written = fs::read_to_string(&file).unwrap();
    let write = |text: &str| fs::write(&file, text).unwrap();
    let old = submit(&cluster, 0, json!({"job_type": "doze"})).await;
    until(&cluster, 0, &old, JobStatus::Running).await;
    let running = here(&cluster, 0).await.jobs.remove(0);

    // What is wrong is named with its place, and changes nothing.
    write(&written.replace("grace: 1s", "grace: soon"));
    let line = written.lines().position(|line| line.contains("grace: 1s")).unwrap() + 1;
    let (status, answer) = cluster.raw(0, true, "POST", "/api/reload", b"").await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let error = answer["error"].as_str().unwrap();
    assert_eq!((status, answer["error_code"].as_str()), (409, Some("REFUSED")), "{answer}");
    assert!(error.contains(&format!("settings.yaml:{line}: job_classes.doze.grace: ")), "{error}");
    assert!(error.ends_with("what was in force stays in force"), "{error}");

    let rewritten = written
        .replace("grace: 1s", "grace: 1s\n    deadline: 1s\n    limits: {cpu_weight: 50}")
        .replace("  echo:", "  hush: {kind: selfplay, working_dir: /, argv: [/bin/true]}\n  echo:")
        .replace("work_queue_soft_limit: 6", "work_queue_soft_limit: 7\nhttp_port: 8779");
    write(&rewritten);
    let reloaded: Value = cluster.operator(0).post_json("/api/reload", &json!({})).await.unwrap();
    let said =
        |list: &Value| list.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let changes = said(&reloaded["changes"]);
    assert_eq!(changes[1..], ["job class doze changed", "job class hush added"], "{reloaded}");
    assert!(changes[0].starts_with("work_queue_soft_limit: 6 → 7 ("), "{reloaded}");
    let later = said(&reloaded["need_restart"]);
    assert!(later.len() == 1 && later[0].starts_with("http_port: 8770 → 8779 ("), "{reloaded}");
    assert!(reloaded["message"].as_str().unwrap().contains("after a restart alone: http_port"), "{reloaded}");

    let client = cluster.client(0);
    let offers =
        async || client.jobs_here().await.ok()?.classes.iter().any(|class| class.as_str() == "hush").then_some(());
    cluster.until("the new class to be offered", offers).await;
    let new = submit(&cluster, 0, json!({"job_type": "hush"})).await;
    until(&cluster, 0, &new, JobStatus::Completed).await;
    let short = submit(&cluster, 0, json!({"job_type": "doze", "max_attempts": 1})).await;
    until(&cluster, 0, &short, JobStatus::Timeout).await;
    // The one that ran before is as it was: neither stopped at the new deadline nor limited otherwise.
    let after = here(&cluster, 0).await.jobs.into_iter().find(|job| job.job_id.as_str() == old).unwrap();
    assert_eq!((after.status.as_str(), after.pid, after.limits), ("running", running.pid, running.limits));
    let queue: Value = cluster.operator(0).get_json("/work/status").await.unwrap();
    assert_eq!(queue["backpressure"]["soft_limit"], 7);

    let again: Value = cluster.operator(0).post_json("/api/reload", &json!({})).await.unwrap();
    assert_eq!((said(&again["changes"]).len(), said(&again["need_restart"]).len()), (0, 1), "{again}");
}
