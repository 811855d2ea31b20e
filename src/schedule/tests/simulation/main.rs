//! Whole clusters, in which nodes die and come back, leaders change, commands are lost, delayed and doubled, and reports come late
//! and again and again. Every failure names the seed that shows it again: `SIMULATION_SEED=7 cargo test -p ringrift-schedule`.

mod chance;
mod check;
mod cluster;
mod node;

use cluster::{Case, Cluster};

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SIMULATION_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (1..=count).collect(),
    }
}

fn run(case: Case) {
    let mut cluster = Cluster::new(case);
    cluster.run();
    let summary = cluster.summary();
    println!("{summary}");
    assert!(cluster.filled() > 0.95, "{summary}");
    assert!(cluster.moved() > 0, "nothing was ever moved: {summary}");
}

#[test]
fn a_cluster_of_42_nodes_loses_no_job_and_runs_none_twice() {
    for seed in seeds(4) {
        run(Case { seed, nodes: 42, jobs: 3000, churn: 1.0 });
    }
}

/// With `SIMULATION_JOBS=100000` for longer.
#[test]
fn a_thousand_nodes_do_twenty_thousand_jobs() {
    let jobs = std::env::var("SIMULATION_JOBS").ok().and_then(|jobs| jobs.parse().ok()).unwrap_or(20_000);
    run(Case { seed: seeds(1)[0], nodes: 1000, jobs, churn: 1.0 });
}

/// Many seeds, and worse weather: `SIMULATION_LONG=50 cargo test -p ringrift-schedule`.
#[test]
fn many_clusters_in_worse_weather() {
    let count = std::env::var("SIMULATION_LONG").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    for seed in seeds(count) {
        let mut cluster = Cluster::new(Case { seed: seed + 1000, nodes: 30, jobs: 1000, churn: 6.0 });
        cluster.run();
        println!("{}", cluster.summary());
    }
}
