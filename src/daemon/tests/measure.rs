//! Not a test but a measurement of `GET /status` on a node that knows 1,000 members. It asserts nothing about time:
//!
//! ```console
//! $ cargo test --release -p ringrift-p2p --test measure -- --ignored --nocapture
//! ```

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]

mod cluster;

use std::{
    fmt::Write as _,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use bytes::Bytes;
use cluster::Cluster;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::sleep_until};

const MEMBERS: usize = 1000;
/// Per second, and for how long.
const RATE: u32 = 1000;
const SECONDS: u32 = 10;
/// Connections that stay open, as those of dashboards do.
const CONNECTIONS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures, and asserts none"]
async fn status_with_a_thousand_members() {
    let mut cluster = Cluster::new(1, 0);
    let mut hosts = cluster.hosts_text(&["n1".to_owned()], |_| String::new());
    for i in 2..=MEMBERS {
        // Nobody is there: what a host of the file looks like on /status does not depend on it.
        let _ = write!(
            hosts,
            "  gpu-{i}:\n    ssh_host: 127.250.{}.{}\n    status: ready\n    role: gpu_selfplay\n    gpu: 8x RTX 4090\n    \
             cpus: 64\n    memory_gb: 256\n    nat_blocked: true\n",
            i / 250,
            i % 250 + 1
        );
    }
    cluster.write_hosts(&hosts);
    cluster.start_node(0);
    cluster.until("a leader", async || cluster.status(0).await?.leader_id).await;
    let pid = cluster.pid(0);
    let pinned = Command::new("taskset").args(["-acp", "0", &pid.to_string()]).output();
    let pinned = pinned.is_ok_and(|o| o.status.success());

    for path in ["/health", "/status", "/status?alive_only=false"] {
        let before = cpu(pid);
        let began = Instant::now();
        let (mut times, bytes) = load(&cluster, path).await;
        let (took, used) = (began.elapsed().as_secs_f64(), cpu(pid) - before);
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "{path}: {} bytes, {:.0} requests/s{}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; {:.0} % of one core, {} MiB RSS",
            bytes,
            times.len() as f64 / took,
            if pinned { " on one core" } else { "" },
            at(0.5),
            at(0.99),
            at(1.0),
            used / took * 100.0,
            rss_kib(pid) / 1024,
        );
    }
}

/// Requests at a steady rate. Each is measured from when it was due, so that a stall is not hidden by waiting for it.
async fn load(cluster: &Cluster, path: &'static str) -> (Vec<Duration>, usize) {
    let start = tokio::time::Instant::now() + Duration::from_millis(100);
    let mut connections = JoinSet::new();
    for c in 0..CONNECTIONS {
        let socket = TcpStream::connect((cluster.nodes[0].ip, 8770)).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        connections.spawn(async move {
            let mut times = Vec::new();
            let mut bytes = 0;
            for i in (c..RATE * SECONDS).step_by(CONNECTIONS as usize) {
                let due = start + Duration::from_secs(1) * i / RATE;
                sleep_until(due).await;
                let request = http::Request::get(path).header("host", "test").body(Empty::<Bytes>::new()).unwrap();
                let mut body = sender.send_request(request).await.unwrap().into_body();
                bytes = 0;
                while let Some(frame) = body.frame().await {
                    bytes += frame.unwrap().data_ref().map_or(0, Bytes::len);
                }
                times.push(due.elapsed());
            }
            (times, bytes)
        });
    }
    let done = connections.join_all().await;
    let bytes = done[0].1;
    (done.into_iter().flat_map(|(times, _)| times).collect(), bytes)
}

/// CPU time of a process so far, in seconds.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
