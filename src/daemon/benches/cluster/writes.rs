//! Committed writes of three voters, for one client and for many, beside three etcds whose logs lie in the same folder and are synced
//! as ours are. Both are asked over HTTP/1.1 at their leader; a write of ours changes a node's eligibility and adds an event.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};

use crate::{
    cluster::{Cluster, TOKEN},
    etcd::Etcd,
    target,
};

const VOTERS: usize = 3;
const CLIENTS: usize = 64;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(5);

/// What one client asks for the `n`th time: the path and the body.
type Ask = fn(client: usize, n: usize) -> (String, String);

pub(crate) async fn measure() {
    // A node for each client: they are in the hosts file and never start.
    let mut cluster = Cluster::new(VOTERS, CLIENTS).unhurried();
    for voter in 0..VOTERS {
        cluster.start_node(voter);
    }
    let leader = cluster.formed().await;
    let ours = SocketAddr::new(cluster.nodes[leader].ip, 8770);
    let etcd = Etcd::start(cluster.path()).await;
    if etcd.is_none() {
        println!("  etcd is not installed: no comparison with it");
    }
    for clients in [1, CLIENTS] {
        let mut rates = (Vec::new(), Vec::new());
        let mut times = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (rate, all) = writes(ours, clients, cordon).await;
            rates.0.push(rate);
            times.0.extend(all);
            if let Some(etcd) = &etcd {
                let (rate, all) = writes(etcd.leader, clients, put).await;
                rates.1.push(rate);
                times.1.extend(all);
            }
        }
        let rate = print("ringrift-p2p", clients, &mut rates.0, &mut times.0);
        if etcd.is_some() {
            let theirs = print("etcd", clients, &mut rates.1, &mut times.1);
            println!("  {clients} clients: {:.2} times as many as etcd", rate / theirs);
        }
    }
}

fn cordon(client: usize, n: usize) -> (String, String) {
    let deed = if n.is_multiple_of(2) { "cordon" } else { "uncordon" };
    (format!("/api/nodes/n{}/{deed}", VOTERS + 1 + client), String::new())
}

/// Keys and values are base64 there.
fn put(client: usize, n: usize) -> (String, String) {
    let number = |number: usize| {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        [number / 262_144, number / 4096, number / 64, number].map(|part| char::from(DIGITS[part % 64]))
    };
    let text = |number: [char; 4]| String::from_iter(number);
    ("/v3/kv/put".into(), format!(r#"{{"key": "{}", "value": "{}"}}"#, text(number(client)), text(number(n))))
}

/// Per second, and how long each took. Every answer must be 200.
async fn writes(to: SocketAddr, clients: usize, ask: Ask) -> (f64, Vec<Duration>) {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let socket = TcpStream::connect(to).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (mut sender, connection) = http1::handshake::<_, Full<Bytes>>(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        tasks.spawn(async move {
            let mut times = Vec::new();
            // An even number of changes, so that the next round begins as this one did.
            while began.elapsed() < ROUND || !times.len().is_multiple_of(2) {
                let (path, body) = ask(client, times.len());
                let request = http::Request::post(path)
                    .header("host", "bench")
                    .header("x-ringrift-auth", TOKEN)
                    .body(Full::new(Bytes::from(body)))
                    .unwrap();
                let sent = Instant::now();
                let answer = sender.send_request(request).await.unwrap();
                let status = answer.status();
                let said = answer.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(status, 200, "{said:?}");
                times.push(sent.elapsed());
            }
            times
        });
    }
    let times: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
    (times.len() as f64 / began.elapsed().as_secs_f64(), times)
}

fn print(who: &str, clients: usize, rates: &mut [f64], times: &mut [Duration]) -> f64 {
    rates.sort_unstable_by(f64::total_cmp);
    times.sort_unstable();
    let rate = target::quantile(rates, 0.5);
    let at = |share| target::quantile(times, share).as_secs_f64() * 1e3;
    println!(
        "  {clients} clients, {who}: {rate:.0} writes/s ({:.0} to {:.0}), p50 {:.2} ms, p99 {:.2} ms",
        rates[0],
        rates[rates.len() - 1],
        at(0.5),
        at(0.99)
    );
    rate
}
