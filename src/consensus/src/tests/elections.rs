//! Who leads, and what happens when it goes.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::{Cluster, command, id, nobody, set, until};
use crate::{ProposeError, Role};

#[tokio::test(start_paused = true)]
async fn a_single_voter_leads_at_once_and_takes_writes() {
    let cluster = Cluster::of("a").await;
    assert_eq!(cluster.any_leader().await, "a");
    let done = cluster.write(1).await;
    assert_eq!(cluster.node("a").agreed().index, done.index);
    assert_eq!(cluster.status("a").voters, set("a"));
}

#[tokio::test(start_paused = true)]
async fn three_voters_agree_on_one_leader_and_on_the_name_of_their_cluster() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let done = cluster.write(1).await;
    cluster.applied("a b c", done.index).await;
    assert!(!cluster.named().await.is_empty());
    let roles = ["a", "b", "c"].map(|n| cluster.status(n).role);
    assert_eq!(roles.iter().filter(|r| **r == Role::Leader).count(), 1);
    assert!(cluster.status(&leader).quorum_acked.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_follower_names_the_leader_and_takes_no_write() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let follower = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    let refused = cluster.node(&follower).propose(command(1)).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(id(&leader)) }));
    assert_eq!(
        cluster.node(&follower).read_barrier().await,
        Err(ProposeError::NotLeader { leader: Some(id(&leader)) })
    );
    assert_eq!(cluster.node(&leader).read_barrier().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_status_wakes_nobody_for_newer_times_and_has_them_for_whoever_looks() {
    let cluster = Cluster::of("a b c").await;
    cluster.named().await;
    let leader = cluster.any_leader().await;
    // What the election left to do is done by then.
    sleep(Duration::from_mins(1)).await;
    for name in cluster.names() {
        let mut status = cluster.node(&name).status();
        let seen = status.borrow_and_update().leader_last_seen.unwrap();
        sleep(Duration::from_secs(10)).await;
        assert!(!status.has_changed().unwrap(), "{name}, and {leader} leads");
        assert!(status.borrow().leader_last_seen.unwrap() > seen + Duration::from_secs(9), "{name}");
    }
    let mut status = cluster.node(&leader).status();
    status.borrow_and_update();
    cluster.write(1).await;
    until("a write is news", || status.has_changed().unwrap().then_some(())).await;
}

/// How often Raft tells of itself in this time.
async fn tells(cluster: &Cluster, name: &str, time: Duration) -> usize {
    let mut metrics = cluster.node(name).inner.service.raft.metrics();
    let end = Instant::now() + time;
    let mut times = 0;
    while timeout_at(end, metrics.changed()).await.is_ok() {
        metrics.borrow_watched();
        times += 1;
    }
    times
}

#[tokio::test(start_paused = true)]
async fn raft_s_clock_stands_on_a_follower_as_long_as_it_hears_its_leader() {
    let cluster = Cluster::of("a b c").await;
    cluster.named().await;
    let leader = cluster.any_leader().await;
    let follower = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    sleep(Duration::from_mins(1)).await;
    let heartbeats = 50;
    let time = cluster.node(&leader).inner.timers.heartbeat * heartbeats;
    // It ticks five times as often as hearts beat, and tells of each tick.
    let leads = tells(&cluster, &leader, time).await;
    assert!(leads >= 4 * heartbeats as usize, "{leads}");
    let follows = tells(&cluster, &follower, time).await;
    assert!(follows <= 3 * heartbeats as usize, "{follows}");
    // And goes on when there is nothing to be heard any more.
    for other in cluster.names().iter().filter(|n| **n != follower) {
        cluster.process(other).freeze();
    }
    let silence = cluster.node(&leader).inner.timers.election_max;
    sleep(silence).await;
    let alone = tells(&cluster, &follower, time).await;
    assert!(alone >= 4 * heartbeats as usize, "{alone}");
}

#[tokio::test(start_paused = true)]
async fn another_voter_takes_over_when_the_leader_dies_and_nothing_is_lost() {
    let mut cluster = Cluster::of("a b c").await;
    let first = cluster.any_leader().await;
    let done = cluster.write(1).await;
    cluster.crash(&first).await;
    let second = cluster.any_leader().await;
    assert_ne!(first, second);
    assert!(cluster.node(&second).agreed().index >= done.index);
    let later = cluster.write(2).await;
    assert!(later.term > done.term);
    cluster.start(&first, "a b c").await.unwrap();
    cluster.applied("a b c", later.index).await;
    assert_eq!(cluster.node(&first).agreed().state, cluster.node(&second).agreed().state);
}

#[tokio::test(start_paused = true)]
async fn without_a_majority_nobody_leads_and_writes_fail_fast() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    for name in ["a", "b", "c"] {
        if name != leader {
            cluster.crash(name).await;
        }
    }
    until("the leader notices", || (cluster.status(&leader).role != Role::Leader).then_some(())).await;
    assert_eq!(cluster.status(&leader).leader, None);
    let asked = Instant::now();
    let refused = cluster.node(&leader).propose(command(1)).await.unwrap_err();
    assert!(nobody(&refused), "{refused}");
    assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_asks_all_the_time_during_an_election_is_refused_at_once_or_served() {
    let cluster = Cluster::of("a b c").await;
    let first = cluster.any_leader().await;
    cluster.crash(&first).await;
    let mut refused = 0;
    'asking: loop {
        for name in cluster.names() {
            let asked = Instant::now();
            match cluster.node(&name).propose(command(1)).await {
                Ok(_) => break 'asking,
                Err(error) => assert!(nobody(&error), "{error}"),
            }
            refused += 1;
            assert!(asked.elapsed() < Duration::from_millis(2_200), "{:?}", asked.elapsed());
            sleep(Duration::from_millis(10)).await;
        }
    }
    assert!(refused > 0, "there was no election to see");
}

#[tokio::test(start_paused = true)]
async fn leadership_goes_to_the_one_named_without_a_gap() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    let asked = Instant::now();
    assert_eq!(cluster.node(&leader).transfer(Some(id(&other))).await, Ok(id(&other)));
    assert!(asked.elapsed() < Duration::from_millis(500), "no election timeout passed: {:?}", asked.elapsed());
    assert_eq!(cluster.any_leader().await, other);
    cluster.write(1).await;
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_to_somebody_before_a_graceful_stop() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let asked = Instant::now();
    cluster.stop(&leader).await;
    let next = cluster.any_leader().await;
    assert_ne!(next, leader);
    assert!(asked.elapsed() < Duration::from_millis(500), "no election timeout passed: {:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_transfer_to_one_who_does_not_answer_ends_with_an_error_and_a_leader() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    cluster.crash(&other).await;
    assert!(cluster.node(&leader).transfer(Some(id(&other))).await.is_err());
    assert!(cluster.node(&leader).transfer(Some(id("x"))).await.is_err());
    cluster.any_leader().await;
    cluster.write(1).await;
}

#[tokio::test(start_paused = true)]
async fn progress_goes_on_without_any_writes() {
    let cluster = Cluster::of("a").await;
    let node = cluster.node("a");
    let before = node.progress();
    until("progress", || (node.progress() > before + 3).then_some(())).await;
    node.shutdown().await;
    assert!(node.status().borrow().stopped.is_some());
    let stopped = node.progress();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(node.progress(), stopped, "a stopped one makes none");
}
