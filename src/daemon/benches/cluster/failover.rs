//! How long the cluster takes no write when its leader is killed, and how long a dead node passes for one that lives.

use std::time::{Duration, Instant};

use ringrift_api::{CordonRequest, EligibilityChanged};

use crate::{cluster::Cluster, target};

/// How many leaders are killed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kills(pub(crate) usize);

/// Between two tries of whoever waits for the next leader.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn measure(kills: Kills) {
    for (timers, must, cluster) in
        [("50/200/400 ms", 0.6, Cluster::new(3, 1)), ("as they are by default", 2.5, Cluster::new(3, 1).unhurried())]
    {
        let (mut times, _) = leaders(cluster, kills).await;
        target::print(&format!("leader killed to a write accepted, timers {timers}"), &mut times);
        target::at_most("median", target::quantile(&times, 0.5).as_secs_f64(), must, "s");
    }
}

/// The cluster comes back for more.
pub(crate) async fn leaders(mut cluster: Cluster, kills: Kills) -> (Vec<Duration>, Cluster) {
    cluster.start();
    let mut times = Vec::new();
    for round in 0..kills.0 {
        let leader = cluster.formed().await;
        let asked = (leader + 1) % cluster.voters();
        let operator = cluster.operator(asked);
        let deed = if round % 2 == 0 { "cordon" } else { "uncordon" };
        let path = format!("/api/nodes/n4/{deed}");
        cluster.kill(leader);
        let began = Instant::now();
        while operator.post_json::<EligibilityChanged>(&path, &CordonRequest::default()).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        times.push(began.elapsed());
        cluster.start_node(leader);
    }
    (times, cluster)
}

/// Until each of the others says so.
pub(crate) async fn measure_dead() {
    const DEATHS: usize = 10;
    let mut cluster = Cluster::new(3, 3).unhurried();
    cluster.start();
    let mut times = Vec::new();
    for round in 0..DEATHS {
        cluster.formed().await;
        let dead = 3 + round % 3;
        cluster.kill(dead);
        let began = Instant::now();
        // All that run see all that run, and nobody else.
        cluster.formed().await;
        times.push(began.elapsed());
        cluster.start_node(dead);
    }
    target::print("a killed worker, seen dead by all five others", &mut times);
    target::at_most("worst", target::quantile(&times, 1.0).as_secs_f64(), 8.0, "s");
}
