//! What a client of the HTTP API can take from the daemon, and what it cannot.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::{net::IpAddr, time::Instant};

use cluster::{Cluster, PATIENCE, TOKEN};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

const STATUS: &[u8] = b"GET /ready HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

async fn connect(ip: IpAddr) -> TcpStream {
    TcpStream::connect((ip, 8770)).await.unwrap()
}

/// All that comes until the connection is closed.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is as good as an end.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("the connection is closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn single(extra: &[&str]) -> (Cluster, IpAddr) {
    let mut cluster = Cluster::new(1, 0);
    cluster.nodes[0].extra = extra.iter().map(ToString::to_string).collect();
    cluster.start();
    cluster.formed().await;
    let ip = cluster.nodes[0].ip;
    (cluster, ip)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_in_time_or_is_too_large_costs_the_connection_and_nobody_else_anything() {
    let (cluster, ip) = single(&["--header-timeout", "1s"]).await;
    let began = Instant::now();
    let mut slow = connect(ip).await;
    slow.write_all(b"GET /status HTTP/1.1\r\nhost:").await.unwrap();
    let mut mute = connect(ip).await;
    // More than once: where others build, a second may be short for an honest head as well.
    cluster
        .until("an answer to a quick one", async || {
            let mut quick = connect(ip).await;
            quick.write_all(STATUS).await.ok()?;
            rest(&mut quick).await.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
    // Whatever it is told, it is told nothing of the status.
    assert!(!rest(&mut slow).await.contains("node_id"));
    assert_eq!(rest(&mut mute).await, "");
    assert!(began.elapsed().as_secs_f32() > 0.9, "each had its second");

    let mut large = connect(ip).await;
    let head = format!("GET /status HTTP/1.1\r\nhost: test\r\nx-padding: {}\r\n\r\n", "x".repeat(1 << 20));
    // It may be cut off before all of it is sent.
    let _ = large.write_all(head.as_bytes()).await;
    let answer = rest(&mut large).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_above_the_limit_wait_in_the_queue_and_none_that_asks_is_refused() {
    let (_cluster, ip) = single(&["--max-connections", "2"]).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut socket = connect(ip).await;
        socket.write_all(STATUS).await.unwrap();
        waiting.push(socket);
    }
    for socket in &mut waiting {
        assert!(rest(socket).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_has_asked_nothing_makes_place_for_one_that_comes() {
    let (_cluster, ip) = single(&["--max-connections", "2", "--header-timeout", "1h"]).await;
    let mut kept = connect(ip).await;
    kept.write_all(b"GET /ready HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).await.unwrap();
    let mut mute = connect(ip).await;
    let mut quick = connect(ip).await;
    quick.write_all(STATUS).await.unwrap();
    assert!(rest(&mut quick).await.starts_with("HTTP/1.1 200"));
    assert_eq!(rest(&mut mute).await, "");
    // The one that has asked is still served.
    kept.write_all(STATUS).await.unwrap();
    assert!(rest(&mut kept).await.contains("HTTP/1.1 200"));
}

/// The only place is taken by a client that asked something; another one gets it in the end.
async fn gives_its_place_back(client: impl AsyncFn(IpAddr) -> TcpStream) {
    let (cluster, ip) = single(&["--max-connections", "1", "--header-timeout", "1s"]).await;
    let held = client(ip).await;
    cluster
        .until("an answer to another client", async || {
            let mut quick = connect(ip).await;
            quick.write_all(STATUS).await.ok()?;
            rest(&mut quick).await.starts_with("HTTP/1.1 200").then_some(())
        })
        .await;
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_whose_body_does_not_come_gives_its_place_back() {
    gives_its_place_back(async |ip| {
        let mut slow = connect(ip).await;
        // Whoever has no token is refused before that.
        let head = format!(
            "POST /work/add HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{"
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        slow
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answer_gives_its_place_back() {
    gives_its_place_back(async |ip| {
        let mut mute = connect(ip).await;
        // More than both ends keep for it.
        let many = b"GET /api/openapi.json HTTP/1.1\r\nhost: test\r\n\r\n".repeat(1000);
        let _ = timeout(PATIENCE / 10, mute.write_all(&many)).await;
        mute
    })
    .await;
}
