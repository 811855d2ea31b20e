//! Cut lines, in particular those that leave a leader half connected.

use std::time::Duration;

use tokio::time::sleep;

use super::cluster::{Cluster, until};
use crate::Role;

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_cut_off_does_not_count_as_one_and_follows_when_it_comes_back() {
    let cluster = Cluster::of("a b c").await;
    let old = cluster.any_leader().await;
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != old).collect();
    cluster.net.cut(&old, &others.join(" "));
    let new = cluster.leader(&others.join(" ")).await;
    until("the old one knows", || (cluster.status(&old).role != Role::Leader).then_some(())).await;
    assert_eq!(cluster.status(&old).leader, None, "there is one leader, not two");
    let done = cluster.write(1).await;
    cluster.net.heal();
    assert_eq!(cluster.any_leader().await, new, "it does not disturb");
    cluster.applied("a b c", done.index).await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_that_was_cut_off_comes_back_without_an_election() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    let rest: Vec<_> = cluster.names().into_iter().filter(|n| *n != other).collect();
    let term = cluster.status(&leader).term;
    cluster.net.cut(&other, &rest.join(" "));
    until("it misses the leader", || cluster.status(&other).leader.is_none().then_some(())).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(cluster.status(&other).term, term, "it only asks whether it could win");
    cluster.net.heal();
    cluster.leader("a b c").await;
    assert_eq!(cluster.status(&leader).term, term);
    assert_eq!(cluster.any_leader().await, leader);
}

/// Five voters; the leader reaches only one of the other four, and these four reach each other: a majority, connected.
async fn half_connected_leader(cluster: &Cluster) -> (String, String) {
    let old = cluster.any_leader().await;
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != old).collect();
    let (held, rest) = others.split_first().unwrap();
    cluster.net.cut(&old, &rest.join(" "));
    // The last two are away for good: what is left is a majority of three, which needs the one that the old leader holds.
    let (away, near) = rest.split_at(1);
    cluster.crash(&away[0]).await;
    assert_eq!(near.len(), 2);
    (old, format!("{held} {}", near.join(" ")))
}

async fn elects_within(cluster: &Cluster, old: &str, majority: &str, patience: Duration) -> bool {
    let new_leader = async { until("a new leader", || cluster.leader_now(majority).filter(|n| n != old)).await };
    tokio::time::timeout(patience, new_leader).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn an_old_leader_that_still_reaches_one_voter_does_not_keep_the_majority_from_electing() {
    let cluster = Cluster::of("a b c d e").await;
    let (old, majority) = half_connected_leader(&cluster).await;
    assert!(elects_within(&cluster, &old, &majority, Duration::from_secs(30)).await);
    cluster.write(1).await;
}

/// The answers are lost, and the messages are not. What it had taken before it noticed it sends again and again, and whoever hears a
/// leader elects no other one.
#[tokio::test(start_paused = true)]
async fn a_leader_that_hears_no_answer_does_not_keep_the_others_from_electing_by_what_it_still_sends() {
    let cluster = Cluster::of("a b c").await;
    let old = cluster.any_leader().await;
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != old).collect();
    cluster.net.cut_one_way(&others.join(" "), &old);
    let pending = tokio::spawn({
        let node = cluster.node(&old);
        async move { node.propose(super::cluster::command(1)).await }
    });
    assert!(elects_within(&cluster, &old, &others.join(" "), Duration::from_secs(10)).await);
    assert!(pending.await.unwrap().is_err(), "nobody confirmed it");
    cluster.write(2).await;
}

/// The bridge without the setting: what the first of these tests shows is the setting's doing.
#[tokio::test(start_paused = true)]
async fn without_falling_silent_that_leader_blocks_the_majority_for_ever() {
    let mut cluster = Cluster::empty();
    cluster.tuning.quorum_loss_probe = false;
    cluster.start_all("a b c d e").await;
    let (old, majority) = half_connected_leader(&cluster).await;
    assert!(!elects_within(&cluster, &old, &majority, Duration::from_mins(2)).await);
}

#[tokio::test(start_paused = true)]
async fn without_asking_first_a_voter_that_was_cut_off_brings_the_leader_down() {
    let mut cluster = Cluster::empty();
    cluster.tuning.pre_vote = false;
    cluster.start_all("a b c").await;
    let leader = cluster.any_leader().await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    let rest: Vec<_> = cluster.names().into_iter().filter(|n| *n != other).collect();
    let term = cluster.status(&leader).term;
    cluster.net.cut(&other, &rest.join(" "));
    until("it counts up", || (cluster.status(&other).term > term + 3).then_some(())).await;
    cluster.net.heal();
    until("the others follow", || (cluster.status(&leader).term > term).then_some(())).await;
}
