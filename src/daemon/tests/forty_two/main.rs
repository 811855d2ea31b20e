//! Forty-two real daemons, five of them voters and a few that only dial out, under clients that read and write all the time:
//! the leader is killed twenty times, 30 % of the nodes at once, then all of them; and then a soak, in which nodes come
//! and go while others are watched for memory, descriptors and tasks that grow.
//!
//! What the clients saw must be what one node alone could have answered, and each acknowledged change is in the event log once.
//!
//! `FORTY_TWO_SOAK=N` makes the soak so many seconds long; `FORTY_TWO_SEED=N` chooses the same nodes again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../histories/clients.rs"]
mod clients;
#[path = "../cluster/mod.rs"]
mod cluster;
#[path = "../histories/events.rs"]
mod events;
#[path = "../histories/object.rs"]
mod object;
mod soak;

use std::{env, sync::Arc, time::Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use ringrift_api::{CordonRequest, EligibilityChanged, Status};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::{
    clients::{Client, Record},
    cluster::Cluster,
};

const VOTERS: usize = 5;
const WORKERS: usize = 37;
/// The last ones cannot be dialled.
const BEHIND_NAT: usize = 4;
const CLIENTS: usize = 3;
/// The nodes that clients ask, and ask about.
const ASKED: usize = 12;
const LEADERS_KILLED: usize = 20;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_two_daemons_outlive_kills_of_leaders_of_a_third_and_of_all() {
    let seed = number("FORTY_TWO_SEED").unwrap_or_else(rand::random);
    eprintln!("FORTY_TWO_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let nat: Vec<String> = (0..BEHIND_NAT).map(|i| format!("n{}", VOTERS + WORKERS - i)).collect();
    let hosts = |name: &str| {
        if nat.iter().any(|n| n == name) { "    nat_blocked: true\n".to_owned() } else { String::new() }
    };
    let mut cluster = Cluster::with_hosts(VOTERS, WORKERS, hosts).unhurried();
    let began = Instant::now();
    cluster.start();
    cluster.formed().await;
    eprintln!("{} daemons formed in {:.1} s", cluster.nodes.len(), began.elapsed().as_secs_f64());
    let first = cluster.status(0).await.unwrap();

    let record = Arc::new(Record::default());
    let stop = CancellationToken::new();
    let urls: Vec<String> = (0..ASKED).map(|i| cluster.url(i)).collect();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client::new(number, &urls, record.clone(), rng.random());
        clients.spawn(client.run(stop.clone()));
    }

    kill_leaders(&mut cluster).await;
    kill_a_third(&mut cluster, &mut rng).await;
    let last = kill_all(&mut cluster).await;
    assert_eq!(last.cluster_id, first.cluster_id);
    soak::run(&mut cluster, &mut rng, number("FORTY_TWO_SOAK").unwrap_or(45)).await;

    cluster.formed().await;
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // What each node says at last is part of the history.
    Client::new(CLIENTS, &urls, record.clone(), 0).read_everything_everywhere().await;
    let record = Arc::into_inner(record).unwrap();
    let (done, unknown, refused) = record.counts();
    eprintln!("{done} requests were answered, {refused} refused, and of {unknown} nobody knows what became of them");
    assert!(done > 100, "too few requests to say anything: {done}");
    object::check(&record);
    events::check(&record, &cluster).await;
}

/// Each time the next one has accepted a write, the killed one is started again, as its supervisor would do.
async fn kill_leaders(cluster: &mut Cluster) {
    let mut leader = cluster.formed().await;
    let mut times = Vec::new();
    for round in 0..LEADERS_KILLED {
        let asked = (leader + 1) % VOTERS;
        let term = cluster.status(asked).await.unwrap().term;
        cluster.kill(leader);
        let began = Instant::now();
        let operator = cluster.operator(asked);
        let request = CordonRequest { by: Some("the test".into()), reason: None };
        let deed = if round % 2 == 0 { "cordon" } else { "uncordon" };
        let path = format!("/api/nodes/n{}/{deed}", VOTERS + WORKERS);
        cluster
            .until("a write that the next leader accepts", async || {
                operator.post_json::<EligibilityChanged>(&path, &request).await.ok()
            })
            .await;
        times.push(began.elapsed());
        let killed = leader;
        leader = next_leader(cluster, asked, killed, term).await;
        cluster.start_node(killed);
        cluster.until("the old leader to follow", async || cluster.status(killed).await?.leader_id).await;
    }
    times.sort();
    let at = |i: usize| times[i].as_secs_f64();
    eprintln!(
        "{LEADERS_KILLED} leaders killed; a write after {:.1} s (median), {:.1} s (worst)",
        at(times.len() / 2),
        at(times.len() - 1)
    );
}

/// Its index, once a later term than `term` has one.
async fn next_leader(cluster: &Cluster, asked: usize, old: usize, term: u64) -> usize {
    cluster
        .until("the next leader", async || {
            let status = cluster.status(asked).await.filter(|status| status.term > term)?;
            cluster.index_of(status.leader_id?.as_str()).filter(|leader| *leader != old)
        })
        .await
}

/// Two voters and eleven workers, all in the same moment.
async fn kill_a_third(cluster: &mut Cluster, rng: &mut StdRng) {
    let mut voters: Vec<usize> = (0..VOTERS).collect();
    let mut workers: Vec<usize> = (VOTERS..VOTERS + WORKERS).collect();
    voters.shuffle(rng);
    workers.shuffle(rng);
    let killed = [&voters[..2], &workers[..11]].concat();
    for node in &killed {
        cluster.kill(*node);
    }
    let began = Instant::now();
    cluster.formed().await;
    let seen = began.elapsed();
    for node in &killed {
        cluster.start_node(*node);
    }
    let began = Instant::now();
    cluster.formed().await;
    eprintln!(
        "{} of {} killed at once: all others knew after {:.1} s; all were back {:.1} s after their start",
        killed.len(),
        cluster.nodes.len(),
        seen.as_secs_f64(),
        began.elapsed().as_secs_f64()
    );
}

/// As if the power had failed everywhere.
async fn kill_all(cluster: &mut Cluster) -> Status {
    for node in 0..cluster.nodes.len() {
        cluster.kill(node);
    }
    let began = Instant::now();
    cluster.start();
    let leader = cluster.formed().await;
    eprintln!("all killed and started again: formed after {:.1} s", began.elapsed().as_secs_f64());
    cluster.status(leader).await.unwrap()
}
