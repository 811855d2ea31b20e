//! Voters far from each other: messages take up to 85 ms each way, and 1 % of them are lost.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{cluster::Cluster, runtime};

const FARTHEST: Duration = Duration::from_millis(85);
const LOST: u32 = 1;

async fn far_apart(seed: u64) -> Cluster {
    runtime::seed(seed);
    let mut cluster = Cluster::seeded(seed);
    cluster.net.faults(|faults| (faults.delay, faults.lost) = (FARTHEST, LOST));
    cluster.start_all("a b c").await;
    cluster.named().await;
    cluster
}

/// Not counted: what it takes to find out who leads, and to be connected. docs/performance.md has both.
#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_in_seconds_over_a_wide_area_network() {
    let mut cluster = far_apart(1).await;
    let mut took = Vec::new();
    for n in 0..20 {
        let leader = cluster.any_leader().await;
        cluster.crash(&leader).await;
        let killed = Instant::now();
        cluster.write(n).await;
        took.push(killed.elapsed());
        cluster.start(&leader, "a b c").await.unwrap();
    }
    took.sort();
    eprintln!(
        "leader killed to a write confirmed, of 20: median {:?}, 90 % {:?}, worst {:?}",
        took[10], took[17], took[19]
    );
    assert!(took[10] < Duration::from_millis(2500), "{took:?}");
    // Two elections, should the first one come to nothing.
    assert!(took[19] < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_keeps_its_place_for_minutes_over_a_wide_area_network() {
    let cluster = far_apart(2).await;
    let leader = cluster.any_leader().await;
    let term = cluster.status(&leader).term;
    sleep(Duration::from_mins(5)).await;
    assert_eq!((cluster.any_leader().await, cluster.status(&leader).term), (leader, term));
}
