//! How soon a leader that has died is replaced, and that no other one is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, TIMERS, until};
use crate::{Role, Timers};

const LAN: Timers = Timers {
    heartbeat: Duration::from_millis(50),
    election_min: Duration::from_millis(200),
    election_max: Duration::from_millis(400),
};

async fn lan(names: &str, campaign: bool) -> Cluster {
    let mut cluster = Cluster::empty();
    cluster.timers = LAN;
    cluster.tuning.campaign = campaign;
    cluster.start_all(names).await;
    cluster.named().await;
    cluster
}

/// From the death of the leader until another one has confirmed a write, the median of a few.
async fn replaced(cluster: &mut Cluster, names: &str) -> Duration {
    let mut took = Vec::new();
    for n in 0..15 {
        let leader = cluster.any_leader().await;
        // At any moment between two heartbeats.
        sleep(LAN.heartbeat * (n % 4) / 4 + LAN.election_max).await;
        let died = Instant::now();
        cluster.crash(&leader).await;
        cluster.write(n.into()).await;
        let after = died.elapsed();
        assert!(after + LAN.heartbeat * 2 > LAN.election_max, "before the lease was over: {after:?}");
        took.push(after);
        cluster.start(&leader, names).await.unwrap();
    }
    took.sort();
    took[took.len() / 2]
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_process_has_died_is_replaced_when_its_lease_is_over() {
    for names in ["a b c", "a b c d e"] {
        let took = replaced(&mut lan(names, true).await, names).await;
        assert!(took < Duration::from_millis(560), "{names}: {took:?}");
        let waited = replaced(&mut lan(names, false).await, names).await;
        assert!(waited > took + Duration::from_millis(60), "{names}: {took:?}, and {waited:?} by Raft's own timers");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_only_stands_still_keeps_the_patience_of_raft_s_own_timers() {
    let cluster = lan("a b c", true).await;
    let leader = cluster.any_leader().await;
    sleep(LAN.election_max).await;
    let others: Vec<_> = cluster.names().into_iter().filter(|n| *n != leader).collect();
    let stood_still = Instant::now();
    cluster.process(&leader).freeze();
    cluster.leader(&others.join(" ")).await;
    let after = stood_still.elapsed();
    assert!(after + LAN.heartbeat * 2 > LAN.election_max + LAN.election_min, "{after:?}");
}

/// The voter misses the leader, and takes it for dead: its connections are refused. All others hear it.
#[tokio::test(start_paused = true)]
async fn a_voter_that_takes_a_healthy_leader_for_dead_disturbs_nobody() {
    let cluster = Cluster::of("a b c").await;
    let leader = cluster.any_leader().await;
    let other = cluster.names().into_iter().find(|n| *n != leader).unwrap();
    let term = cluster.status(&leader).term;
    cluster.net.cut_one_way(&leader, &other);
    cluster.net.refuse(&other, &leader);
    until("it misses the leader", || cluster.status(&other).leader.is_none().then_some(())).await;
    let began = Instant::now();
    while began.elapsed() < TIMERS.election_max * 20 {
        assert_eq!(cluster.status(&leader).role, Role::Leader);
        assert_eq!(cluster.status(&leader).term, term);
        assert_eq!(cluster.status(&other).term, term, "it only asks whether it could win");
        sleep(TIMERS.heartbeat / 4).await;
    }
    cluster.write(1).await;
    cluster.net.heal();
    assert_eq!(cluster.any_leader().await, leader);
}
