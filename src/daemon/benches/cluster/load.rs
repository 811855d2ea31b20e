//! Requests at a steady rate over connections that stay open, as those of dashboards do.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::sleep_until};

/// Per second, and for how long.
const RATE: u32 = 1000;
const SECONDS: u32 = 10;
const CONNECTIONS: u32 = 8;

/// Each request is measured from when it was due, so that a stall is not hidden by waiting for it. Sorted times, the bytes of
/// an answer.
pub(crate) async fn steady(to: SocketAddr, path: &'static str) -> (Vec<Duration>, usize) {
    let start = tokio::time::Instant::now() + Duration::from_millis(100);
    let mut connections = JoinSet::new();
    for c in 0..CONNECTIONS {
        let socket = TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        connections.spawn(async move {
            let mut times = Vec::new();
            let mut bytes = 0;
            for i in (c..RATE * SECONDS).step_by(CONNECTIONS as usize) {
                let due = start + Duration::from_secs(1) * i / RATE;
                sleep_until(due).await;
                let request = http::Request::get(path).header("host", "test").body(Empty::<Bytes>::new()).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!(answer.status(), 200, "{path}");
                bytes = answer.into_body().collect().await.unwrap().to_bytes().len();
                times.push(due.elapsed());
            }
            (times, bytes)
        });
    }
    let done = connections.join_all().await;
    let bytes = done[0].1;
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    (times, bytes)
}
