//! Nodes are killed, frozen and started again; those that are left alone must not grow.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rand::{RngExt as _, rngs::StdRng};

use crate::{VOTERS, cluster::Cluster};

/// They are watched, and nothing is done to them: two voters, two workers, one that only dials out.
const WATCHED: [usize; 5] = [0, 1, 5, 6, 41];

/// What a daemon uses, by the names of its metrics.
const FIGURES: [&str; 4] = ["process_resident_memory_bytes", "process_open_fds", "process_threads", "ringrift_tasks"];

type Sample = BTreeMap<&'static str, f64>;

pub(crate) async fn run(cluster: &mut Cluster, rng: &mut StdRng, seconds: u64) {
    let began = Instant::now();
    let lasts = Duration::from_secs(seconds);
    let mut samples: BTreeMap<usize, Vec<Sample>> = BTreeMap::new();
    let (mut kills, mut freezes) = (0, 0);
    while began.elapsed() < lasts {
        let node = loop {
            let node = rng.random_range(0..cluster.nodes.len());
            if !WATCHED.contains(&node) {
                break node;
            }
        };
        let away = Duration::from_millis(rng.random_range(50..1500));
        // Never two voters at once: that a quorum is missing is no news.
        if rng.random_ratio(1, 3) {
            cluster.signal(node, "STOP");
            tokio::time::sleep(away).await;
            cluster.signal(node, "CONT");
            freezes += 1;
        } else {
            cluster.kill(node);
            tokio::time::sleep(away).await;
            cluster.start_node(node);
            kills += 1;
        }
        if node < VOTERS {
            cluster.formed().await;
        }
        for node in WATCHED {
            samples.entry(node).or_default().push(sample(cluster, node).await);
        }
    }
    eprintln!("soak of {:.0} s: {kills} kills, {freezes} freezes", began.elapsed().as_secs_f64());
    for (node, samples) in samples {
        let name = &cluster.nodes[node].name;
        eprintln!("{name}:");
        assert_eq!(grown(&samples), None, "{name}");
    }
}

async fn sample(cluster: &Cluster, node: usize) -> Sample {
    let text = cluster.client(node).get_bytes("/metrics").await.unwrap();
    let text = String::from_utf8_lossy(&text);
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    FIGURES.into_iter().map(|name| (name, of(name).unwrap())).collect()
}

/// Compares the second quarter, when it has warmed up, with the last one, and says what grew. Memory may be a tenth and 3 MiB more: an
/// allocator does not give all back. The rest may differ by what ten links have that are lost and found at the moment.
fn grown(samples: &[Sample]) -> Option<String> {
    let quarter = samples.len() / 4;
    assert!(quarter > 0, "the soak is too short to say anything: {} samples", samples.len());
    FIGURES.into_iter().find_map(|figure| {
        let median = |samples: &[Sample]| {
            let mut values: Vec<f64> = samples.iter().map(|sample| sample[figure]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let (early, late) = (median(&samples[quarter..2 * quarter]), median(&samples[samples.len() - quarter..]));
        let slack = if figure.ends_with("_bytes") { f64::from(3 << 20) } else { 30.0 };
        eprintln!("  {figure}: {early} early, {late} late");
        (late > early * 1.1 + slack).then(|| format!("{figure} grew from {early} to {late}"))
    })
}

#[test]
fn what_grows_all_the_time_is_found_and_what_goes_up_and_down_is_not() {
    let samples = |figure: &dyn Fn(u32) -> f64| -> Vec<Sample> {
        (0..40).map(|n| FIGURES.into_iter().map(|name| (name, 50.0 + figure(n))).collect()).collect()
    };
    assert_eq!(grown(&samples(&|n| f64::from(n % 7) * 20.0)), None);
    // Two descriptors a round.
    assert_eq!(grown(&samples(&|n| f64::from(2 * n))).unwrap(), "process_open_fds grew from 80 to 120");
    assert!(grown(&samples(&|n| f64::from(n << 20))).unwrap().starts_with("process_resident_memory_bytes grew"));
}
