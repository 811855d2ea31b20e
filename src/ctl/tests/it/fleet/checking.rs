//! `cluster check`, `start` and `stop`.

use std::{
    fmt::Write as _,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Place, health, nobody};
use crate::{
    cluster,
    ctl::in_time,
    fake::{Answer, Fake, Seen},
};

const HOSTS: &str = "\
hosts:
  alpha: {ssh_host: runs, status: ready, role: coordinator}
  beta: {ssh_host: stopped, status: ready, role: coordinator}
  gamma: {ssh_host: failed, status: ready, role: coordinator}
  gpu-1: {ssh_host: bare, status: ready, role: gpu_selfplay}
  gpu-2: {ssh_host: timeout, status: ready, role: gpu_selfplay}
  gpu-3: {ssh_host: refused, ssh_port: 33085, status: ready, role: gpu_selfplay}
  gpu-4: {ssh_host: changed, ssh_port: 33085, status: ready, role: gpu_selfplay}
  gpu-5: {ssh_host: unknown, status: ready, role: gpu_selfplay}
  gpu-6: {ssh_host: denied, ssh_key: ~/.ssh/id_cluster, status: ready, role: gpu_selfplay}
  gpu-7: {ssh_host: timeout, tailscale_ip: denied, status: ready, role: gpu_selfplay}
  old: {ssh_host: runs, status: retired, role: gpu_selfplay}
  proxy: {ssh_host: runs, status: ready, p2p_enabled: false, role: proxy}
p2p_voters: [alpha, beta, gamma]
";

#[tokio::test]
async fn every_state_is_told_apart_and_says_what_mends_it() {
    let place = Place::new(HOSTS);
    let api = nobody();
    let ran = place.run(&api, &["cluster", "check"]).await;
    insta::assert_snapshot!("cluster_check", ran.out);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("/10 alpha: running (PID 77, advertise=10.0.0.7)"), "{ran:?}");
    let ran = place.run(&api, &["cluster", "check", "--json", "--node", "gpu-[67]", "old"]).await;
    let nodes = &ran.json()["nodes"];
    assert_eq!((&nodes[0]["state"], &nodes[0]["reason"]), (&json!("unreachable"), &json!("permission_denied")));
    assert_eq!(nodes[1]["tried"][1]["reason"], "timeout");
    assert_eq!(nodes[2]["state"], "skipped");
    // All that is wrong is that nodes were not reached.
    assert_eq!((ran.code, ran.err.as_str()), (Some(3), ""));
    assert_eq!(place.run(&api, &["cluster", "check", "--role", "proxy"]).await.code, Some(0));
    let unknown = place.run(&api, &["cluster", "check", "--node", "gpu-l"]).await;
    assert!(unknown.err.contains("has no host gpu-l") && unknown.code == Some(2), "{unknown:?}");
}

#[tokio::test]
async fn nodes_are_asked_by_the_api_and_over_ssh_only_when_they_do_not_answer() {
    let place = Place::new(
        "hosts:\n  alpha: {ssh_host: timeout, status: ready}\n  beta: {ssh_host: timeout, status: ready}\n  \
         gamma: {ssh_host: stopped, status: ready}\n  gpu-node-4: {ssh_host: timeout, status: ready}\n",
    );
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        "/health" => Answer::json(&health("alpha", true)),
        // A node that is not well runs all the same.
        "/api/node/beta/health" => Answer::json(&health("beta", false)).status(503),
        path if path.starts_with("/api/node/") => {
            Answer::json(&json!({"error": "not reached", "error_code": "UNREACHABLE", "details": {}})).status(503)
        }
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let ran = place.run(&fake.url(), &["cluster", "check"]).await;
    for line in [
        "✓ alpha: running (leader, version 0.1.0, advertise=10.0.0.5)",
        "✓ beta: running (follower, version 0.1.0, advertise=10.0.0.4)",
        "✗ gamma: stopped",
        "✗ gpu-node-4: unreachable (SSH timeout)",
        "Summary: 2 running, 1 stopped, 1 unreachable",
    ] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    // One that never said anything has no link by which it could be asked.
    assert!(!fake.seen().iter().any(|seen| seen.path.contains("gpu-node-4")));
    let mut asked = place.asked();
    asked.sort_unstable();
    assert_eq!(asked, ["stopped", "timeout"]);
}

fn fleet_of(count: usize, hanging: usize) -> String {
    let mut text = "hosts:\n".to_owned();
    for number in 0..count {
        let kind = if number < hanging { "hang" } else { "runs" };
        let _ = writeln!(text, "  node-{number:02}: {{ssh_host: {kind}-{number}, status: ready, role: selfplay}}");
    }
    text
}

#[tokio::test]
async fn forty_two_nodes_answer_over_ssh_within_three_seconds() {
    let place = Place::new(&fleet_of(42, 0));
    // Of three tries one: other tests want the processors too.
    let mut took = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let ran = place.run(&nobody(), &["cluster", "check"]).await;
        took.push(began.elapsed());
        assert!(ran.out.contains("Summary: 42 running\n") && ran.code == Some(0), "{ran:?}");
        if took.iter().any(|took| *took < Duration::from_secs(3)) {
            return;
        }
    }
    panic!("{took:?}");
}

#[tokio::test]
async fn ten_of_forty_two_that_hang_hold_nobody_up_beyond_the_deadline() {
    let place = Place::new(&fleet_of(42, 10));
    let began = Instant::now();
    let ran = place.run(&nobody(), &["--timeout", "2", "cluster", "check", "--parallel", "12"]).await;
    // The ten wait side by side, and two are left for the others.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(ran.out.contains("Summary: 32 running, 10 unreachable\n"), "{ran:?}");
    assert!(ran.out.contains("✗ node-00: unreachable (SSH timeout)"), "{ran:?}");
    assert_eq!(ran.code, Some(3));
}

#[tokio::test]
async fn what_is_stopped_is_started_and_the_rest_is_left_alone() {
    let place = Place::new(HOSTS);
    let api = nobody();
    let dry = place.run(&api, &["cluster", "start", "--dry-run", "--node", "alpha", "beta", "old"]).await;
    assert_eq!(
        dry.out,
        "beta would be started\nalpha would be left alone: running (PID 77, advertise=10.0.0.7)\n\
         old would be left alone: skipped (status: retired)\n"
    );
    assert_eq!(place.asked().len(), 2, "it only looked");
    let ran = place.run(&api, &["cluster", "start", "--node", "alpha", "beta", "gpu-2"]).await;
    for line in [
        "✓ alpha: Already running (PID 77, advertise=10.0.0.7)",
        "✓ beta: Started (PID 78, advertise=10.0.0.8)",
        "✗ gpu-2: unreachable (SSH timeout)",
        "Summary: 2 running, 1 unreachable, 1 already running, 1 started",
    ] {
        assert!(ran.out.contains(line), "{line}: {ran:?}");
    }
    assert_eq!(ran.code, Some(3));
}

#[tokio::test]
async fn a_quorum_is_not_stopped_unless_it_is_meant() {
    let place = Place::new(
        "hosts:\n  alpha: {ssh_host: runs, status: ready}\n  beta: {ssh_host: runs, status: ready}\np2p_voters: [alpha, beta]\n",
    );
    let fake = Fake::start(move |seen: &Seen| match seen.path.as_str() {
        path if path.ends_with("/health") => Answer::json(&health("alpha", true)),
        _ => Answer::json(&cluster::healthy()),
    })
    .await;
    let ran = place.run(&fake.url(), &["cluster", "stop"]).await;
    assert_eq!((ran.code, place.asked().len()), (Some(1), 0), "{ran:?}");
    assert!(ran.err.contains("nothing was stopped"), "{ran:?}");
    // What still runs after it was told to stop is no success.
    let ran = place.run(&fake.url(), &["cluster", "stop", "--yes"]).await;
    assert_eq!((ran.code, place.asked().len()), (Some(1), 2), "{ran:?}");
    assert!(ran.out.contains("✗ beta: running"), "{ran:?}");
}

#[tokio::test]
async fn ctrl_c_leaves_a_truthful_summary() {
    let place = Place::new(
        "hosts:\n  a: {ssh_host: runs, status: ready}\n  b: {ssh_host: hang, status: ready}\n  c: {ssh_host: runs, status: ready}\n",
    );
    let mut command = place.command(&nobody(), &["cluster", "check", "--parallel", "1"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    in_time(async {
        while !place.asked().contains(&"hang".to_owned()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = in_time(child.wait_with_output()).await.unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    for line in
        ["✓ a: running", "✗ b: unknown (given up in the middle)", "✗ c: unknown (not begun)", "1 running, 2 unknown"]
    {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert_eq!(output.status.code(), Some(1));
}
