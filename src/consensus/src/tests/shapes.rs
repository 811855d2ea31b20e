//! Partitions that leave a majority connected, of every shape: it elects and writes within a bounded time, while they last.

use std::time::Duration;

use futures::{FutureExt, future::select_all};
use tokio::time::{Instant, sleep, timeout};

use super::cluster::{Cluster, TIMERS, command};
use crate::Role;

/// A leader without a quorum falls silent after one election timeout, the others lose their lease after a second one and elect before a
/// third; a split vote costs one more. Measured: 3.2 s at most.
const BOUND: Duration = TIMERS.election_max.saturating_mul(5);

/// Cuts lines around the leader and names who is still connected to each other both ways.
type Shape = fn(&Cluster, &str, &[String]) -> Vec<String>;

fn minority(others: &[String]) -> usize {
    // So many others can go with the leader, and the rest is a majority still.
    others.len() - others.len().div_ceil(2) - 1
}

fn cut_off(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    cluster.net.cut(leader, &others.join(" "));
    others.to_vec()
}

fn with_a_minority(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    let (with, rest) = others.split_at(minority(others));
    cluster.net.cut(&format!("{leader} {}", with.join(" ")), &rest.join(" "));
    rest.to_vec()
}

/// One voter reaches both sides.
fn bridge(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    let (with, rest) = others.split_at(minority(others));
    cluster.net.cut(&format!("{leader} {}", with.join(" ")), &rest[1..].join(" "));
    rest.to_vec()
}

fn reaches_one(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    cluster.net.cut(leader, &others[1..].join(" "));
    others.to_vec()
}

/// It sends, and hears no answer.
fn hears_nobody(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    cluster.net.cut_one_way(&others.join(" "), leader);
    others.to_vec()
}

fn is_heard_by_nobody(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    cluster.net.cut_one_way(leader, &others.join(" "));
    others.to_vec()
}

fn is_heard_by_one(cluster: &Cluster, leader: &str, others: &[String]) -> Vec<String> {
    cluster.net.cut_one_way(leader, &others[1..].join(" "));
    others.to_vec()
}

/// Writes as soon as this node leads.
async fn client(cluster: &Cluster, name: String) {
    loop {
        let leads = cluster.status(&name).role == Role::Leader;
        if leads && cluster.node(&name).propose(command(2)).await.is_ok() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connected_majority_elects_and_writes_in_time_whatever_the_partitions_shape() {
    let shapes: [(&str, Shape); 7] = [
        ("cut off", cut_off),
        ("with a minority", with_a_minority),
        ("bridge", bridge),
        ("reaches one", reaches_one),
        ("hears nobody", hears_nobody),
        ("is heard by nobody", is_heard_by_nobody),
        ("is heard by one", is_heard_by_one),
    ];
    for (shape, cut) in shapes {
        for voters in ["a b c", "a b c d e", "a b c d e f g"] {
            let cluster = Cluster::of(voters).await;
            let leader = cluster.any_leader().await;
            cluster.write(1).await;
            let others: Vec<String> = cluster.names().into_iter().filter(|name| *name != leader).collect();
            let connected = cut(&cluster, &leader, &others);
            assert!(connected.len() * 2 > others.len() + 1, "{shape}: {connected:?} are no majority");
            let cut_at = Instant::now();
            // A client at each node: one that asks the old leader waits for it in vain.
            let clients = cluster.names().into_iter().map(|name| client(&cluster, name).boxed_local());
            let written = timeout(BOUND, select_all(clients)).await;
            assert!(written.is_ok(), "{shape}, of {voters}: nobody wrote within {BOUND:?}");
            println!("{shape}, {} voters: {:?}", others.len() + 1, cut_at.elapsed());
        }
    }
}
