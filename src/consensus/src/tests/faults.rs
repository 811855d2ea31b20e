//! Whatever goes wrong, nothing that was confirmed is lost and no two voters disagree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use ringrift_state::{EntryMeta, Update};
use tokio::time::sleep;

use super::cluster::{Cluster, command, number};
use crate::Role;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What each voter applied at each index: all of them, over all their lives.
#[derive(Default)]
struct Applied(Mutex<BTreeMap<u64, (u64, Option<u64>, String)>>);

impl Applied {
    /// Everybody applies the same.
    fn note(&self, who: &str, update: &Update) {
        let (meta, number) = match update {
            Update::Entry { meta, .. } => (meta, number(update)),
            Update::Blank(meta) => (meta, None),
            Update::Snapshot(_) => return,
        };
        let EntryMeta { term, index } = *meta;
        let mut seen = self.0.lock().unwrap();
        let first = seen.entry(index).or_insert_with(|| (term, number, who.to_owned()));
        assert_eq!((first.0, first.1), (term, number), "{who} and {} disagree about entry {index}", first.2);
    }
}

fn watch(cluster: &Cluster, name: &str, applied: &Arc<Applied>) {
    let mut stream = cluster.node(name).subscribe(1);
    let (applied, name) = (applied.clone(), name.to_owned());
    tokio::spawn(async move {
        while let Some(update) = stream.next().await {
            applied.note(&name, &update);
        }
    });
}

/// One random life of a cluster.
async fn life(seed: u64, voters: usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::seeded(seed);
    cluster.tuning.snapshot_after = 40;
    cluster.tuning.keep = 10;
    let names = &NAMES[..voters];
    let genesis = names.join(" ");
    cluster.start_all(&genesis).await;
    let applied = Arc::new(Applied::default());
    for name in names {
        watch(&cluster, name, &applied);
    }
    let mut down: BTreeSet<&str> = BTreeSet::new();
    let mut confirmed = Vec::new();
    let mut next = 0;
    for _ in 0..60 {
        match rng.random_range(0..10) {
            0 | 1 => {
                let name = names[rng.random_range(0..voters)];
                if down.remove(name) {
                    cluster.start(name, &genesis).await.unwrap();
                    watch(&cluster, name, &applied);
                } else {
                    cluster.crash(name).await;
                    down.insert(name);
                }
            }
            2 => {
                let one = names[rng.random_range(0..voters)];
                let other = names[rng.random_range(0..voters)];
                cluster.net.cut(one, other);
            }
            3 => {
                let one = names[rng.random_range(0..voters)];
                cluster.net.cut(one, &genesis);
            }
            4 => cluster.net.heal(),
            5 => cluster.net.faults(|faults| faults.lost = [0, 5, 20][rng.random_range(0..3)]),
            6 => {
                cluster.net.faults(|faults| faults.delay = Duration::from_millis([0, 30, 150][rng.random_range(0..3)]))
            }
            _ => {
                for name in cluster.names() {
                    if cluster.status(&name).role == Role::Leader {
                        next += 1;
                        if let Ok(done) = cluster.node(&name).propose(command(next)).await {
                            confirmed.push((next, done));
                        }
                    }
                }
            }
        }
        sleep(Duration::from_millis(rng.random_range(0..3000))).await;
    }
    cluster.net.heal();
    cluster.net.faults(|faults| {
        faults.lost = 0;
        faults.delay = Duration::ZERO;
    });
    for name in down {
        cluster.start(name, &genesis).await.unwrap();
        watch(&cluster, name, &applied);
    }
    cluster.any_leader().await;
    let last = cluster.write(9999).await;
    cluster.applied(&genesis, last.index).await;
    let states: Vec<_> = names.iter().map(|n| cluster.node(n).agreed()).collect();
    for state in &states {
        assert_eq!(state.state.eligibility, states[0].state.eligibility);
    }
    let seen = applied.0.lock().unwrap();
    for (n, done) in confirmed {
        // A snapshot may have carried it past all who watched.
        if let Some((term, number, who)) = seen.get(&done.index) {
            assert_eq!((*term, *number), (done.term, Some(n)), "{who} has something else where {n} was confirmed");
        }
    }
}

fn run(seed: u64, voters: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(life(seed, voters));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 0, ..ProptestConfig::default() })]
    #[test]
    fn voters_never_disagree_and_lose_nothing_that_was_confirmed(seed in any::<u64>(), voters in 3usize..=5) {
        run(seed, voters);
    }
}
