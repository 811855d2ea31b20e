//! What strangers can do to a running cluster by connections alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;
mod namespace;

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use cluster::Cluster;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    task::JoinSet,
    time::timeout,
};

const CONNECTIONS: usize = 10_000;
/// So many at once wait for the kernel's answer.
const AT_ONCE: usize = 200;
/// For one connection: a queue that is full makes the kernel try again after 1, 2, 4 s.
const CONNECT: Duration = Duration::from_secs(20);

/// A voter above this has not kept within its memory; its unit has a `MemoryHigh=` five times as high.
const MEMORY: f64 = 200.0 * 1024.0 * 1024.0;

#[test]
fn ten_thousand_half_open_connections_cost_neither_the_leader_nor_memory_nor_an_answer() {
    namespace::run_in_own(
        "ten_thousand_half_open_connections_cost_neither_the_leader_nor_memory_nor_an_answer",
        || {
            let mut files = getrlimit(Resource::Nofile);
            files.current = files.maximum;
            setrlimit(Resource::Nofile, files).unwrap();
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(flood());
        },
    );
}

async fn flood() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.start();
    let leader = cluster.formed().await;
    let before = cluster.status(leader).await.unwrap();

    let target = cluster.nodes[leader].ip;
    for port in [8770, 8765] {
        let held = half_open(SocketAddr::new(target, port)).await;
        // While they are there: the same process leads in the same term, answers, and takes a write.
        let status = cluster.until("an answer", async || cluster.status(leader).await).await;
        assert!(status.is_leader && status.term == before.term, "port {port}: {status:?}");
        let deed = if port == 8770 { "cordon" } else { "uncordon" };
        let (code, said) = cluster.raw(leader, true, "POST", &format!("/api/nodes/n4/{deed}"), b"").await;
        assert_eq!(code, 200, "port {port}: {said:?}");
        let text = cluster.client(leader).get_bytes("/metrics").await.unwrap();
        let text = String::from_utf8_lossy(&text);
        let memory: f64 =
            text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap().parse().unwrap();
        eprintln!("port {port}: {} connections, {:.1} MiB", held.len(), memory / 1_048_576.0);
        assert!(memory < MEMORY, "port {port}: {memory} bytes");
        // A node that comes now gets in beside them.
        cluster.kill(3);
        cluster.start_node(3);
        assert_eq!(cluster.formed().await, leader);
        assert_eq!(cluster.status(leader).await.unwrap().term, before.term);
    }
}

/// Connections from a few addresses that begin something and never go on. What the daemon closes stays closed.
async fn half_open(to: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(CONNECTIONS);
    let mut opening = JoinSet::new();
    for number in 0..CONNECTIONS {
        if opening.len() >= AT_ONCE {
            held.extend(opening.join_next().await.unwrap().unwrap());
        }
        opening.spawn(async move {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::new(IpAddr::from([127, 1, 1, u8::try_from(number % 3 + 1).unwrap()]), 0)).unwrap();
            let mut stream = timeout(CONNECT, socket.connect(to)).await.ok()?.ok()?;
            // Every other one says nothing at all, and the rest too little.
            if number % 2 == 0 {
                let _ = stream.write_all(b"GET /sta").await;
            }
            Some(stream)
        });
    }
    while let Some(stream) = opening.join_next().await {
        held.extend(stream.unwrap());
    }
    assert!(held.len() > CONNECTIONS * 9 / 10, "only {} connections were made", held.len());
    held
}
