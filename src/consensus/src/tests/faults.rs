//! Whatever goes wrong, nothing that was confirmed is lost and no two voters disagree.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use ringrift_config::NodeId;
use ringrift_state::{EntryMeta, Update};
use tokio::{task::JoinSet, time::sleep};

use super::cluster::{Cluster, command, id, number, until};
use crate::Role;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What somebody has applied at an index.
struct Entry {
    term: u64,
    number: Option<u64>,
    who: String,
}

/// What the voters have applied: all of them, over all their lives.
#[derive(Default)]
struct Applied(Mutex<BTreeMap<u64, Entry>>);

impl Applied {
    /// Everybody applies the same.
    fn note(&self, who: &str, update: &Update) {
        let (Update::Entry { meta, .. } | Update::Blank(meta)) = update else { return };
        let (EntryMeta { term, index }, number) = (*meta, number(update));
        let mut entries = self.0.lock().unwrap();
        let first = entries.entry(index).or_insert_with(|| Entry { term, number, who: who.to_owned() });
        let (same, other) = ((first.term, first.number) == (term, number), &first.who);
        assert!(same, "{who} and {other} disagree about entry {index}");
    }

    fn watch(self: &Arc<Self>, cluster: &Cluster, name: &str) {
        let mut stream = cluster.node(name).subscribe(1);
        let (applied, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            while let Some(update) = stream.next().await {
                applied.note(&name, &update);
            }
        });
    }
}

/// What may happen besides crashes, restarts and a bad network.
#[derive(Debug, Clone, Copy, Default)]
struct Also {
    /// A voter loses its disk: one at a time, as the others cannot vouch for it otherwise.
    wiped: bool,
    /// The voters are changed.
    changed: bool,
}

struct Life {
    rng: StdRng,
    cluster: Cluster,
    names: Vec<&'static str>,
    genesis: String,
    applied: Arc<Applied>,
    down: BTreeSet<&'static str>,
    proposed: u64,
    /// The numbers that were confirmed, with their indexes and terms.
    confirmed: Vec<(u64, u64, u64)>,
    also: Also,
    changes: JoinSet<()>,
}

impl Life {
    async fn new(seed: u64, voters: usize, also: Also) -> Self {
        let mut cluster = Cluster::seeded(seed);
        cluster.tuning.snapshot_after = 40;
        cluster.tuning.keep = 10;
        let names = NAMES[..voters].to_vec();
        let mut life = Self {
            rng: StdRng::seed_from_u64(seed),
            cluster,
            genesis: names.join(" "),
            names,
            applied: Arc::default(),
            down: BTreeSet::new(),
            proposed: 0,
            confirmed: Vec::new(),
            also,
            changes: JoinSet::new(),
        };
        for name in life.names.clone() {
            life.start(name).await;
        }
        life
    }

    fn any(&mut self) -> &'static str {
        self.names.choose(&mut self.rng).unwrap()
    }

    async fn start(&mut self, name: &'static str) {
        self.cluster.start(name, &self.genesis).await.unwrap();
        self.applied.watch(&self.cluster, name);
    }

    fn leader(&self) -> Option<String> {
        self.cluster.names().into_iter().find(|name| self.cluster.status(name).role == Role::Leader)
    }

    async fn something_happens(&mut self) {
        match self.rng.random_range(0..12) {
            0 | 1 => {
                let name = self.any();
                if self.down.remove(name) {
                    self.start(name).await;
                } else {
                    self.cluster.crash(name).await;
                    self.down.insert(name);
                }
            }
            2 => {
                let (one, other) = (self.any(), self.any());
                self.cluster.net.cut(one, other);
            }
            3 => {
                let one = self.any();
                self.cluster.net.cut(one, &self.genesis);
            }
            4 => self.cluster.net.heal(),
            5 => {
                let lost = *[0, 5, 20].choose(&mut self.rng).unwrap();
                self.cluster.net.faults(|faults| faults.lost = lost);
            }
            6 => {
                let delay = Duration::from_millis(*[0, 30, 150].choose(&mut self.rng).unwrap());
                self.cluster.net.faults(|faults| faults.delay = delay);
            }
            7 if self.also.wiped => self.wipe().await,
            8 if self.also.changed => self.change_voters(),
            _ => self.propose().await,
        }
        let pause = Duration::from_millis(self.rng.random_range(0..3000));
        sleep(pause).await;
    }

    async fn wipe(&mut self) {
        let whole = self.down.is_empty() && self.names.iter().all(|n| self.cluster.status(n).waiting.is_none());
        let name = self.any();
        // Before the cluster has a name a voter cannot know that it forgot anything: see `formation`.
        if whole && !self.cluster.node(name).agreed().cluster_id.is_empty() {
            self.cluster.crash(name).await;
            self.cluster.wipe(name);
            self.start(name).await;
        }
    }

    fn change_voters(&mut self) {
        let Some(leader) = self.leader() else { return };
        let count = self.rng.random_range(3..=self.names.len());
        let target: BTreeSet<NodeId> = self.names.sample(&mut self.rng, count).map(|name| id(name)).collect();
        let node = self.cluster.node(&leader);
        // It may fail, and mostly does in such a life.
        self.changes.spawn(async move { drop(node.change_voters(target).await) });
    }

    async fn propose(&mut self) {
        if let Some(leader) = self.leader() {
            self.proposed += 1;
            if let Ok(done) = self.cluster.node(&leader).propose(command(self.proposed)).await {
                self.confirmed.push((self.proposed, done.index, done.term));
            }
        }
    }

    /// Everything works again; whatever was confirmed is there, and all have the same.
    async fn ends_well(mut self) {
        self.cluster.net.heal();
        self.cluster.net.faults(|faults| {
            faults.lost = 0;
            faults.delay = Duration::ZERO;
        });
        for name in std::mem::take(&mut self.down) {
            self.start(name).await;
        }
        while self.changes.join_next().await.is_some() {}
        let last = self.cluster.write(u64::MAX).await;
        let voters = until("the voters stay as they are", || {
            let status = self.cluster.status(&self.leader()?);
            (!status.changing).then_some(status.voters)
        })
        .await;
        let state = |name: &NodeId| self.cluster.node(name.as_str()).agreed().state.clone();
        for voter in &voters {
            self.cluster.applied(voter.as_str(), last.index).await;
        }
        // The states go on; what they hold of this test's commands no longer changes.
        for voter in &voters {
            assert_eq!(state(voter).eligibility, state(voters.first().unwrap()).eligibility);
        }
        let entries = self.applied.0.lock().unwrap();
        for (n, index, term) in &self.confirmed {
            // A snapshot may have carried it past all who watched.
            if let Some(entry) = entries.get(index) {
                let found = (entry.term, entry.number);
                assert_eq!(found, (*term, Some(*n)), "{} has something else where {n} was confirmed", entry.who);
            }
        }
    }
}

/// One random life of a cluster.
fn life(seed: u64, voters: usize, also: Also) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut life = Life::new(seed, voters, also).await;
        for _ in 0..60 {
            life.something_happens().await;
        }
        life.ends_well().await;
    });
}

/// So many lives, or as many as `PROPTEST_CASES` says: each takes about two seconds.
fn lives() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(6);
    ProptestConfig { cases, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn voters_never_disagree_and_lose_nothing_that_was_confirmed(seed in any::<u64>(), voters in 3usize..=5) {
        life(seed, voters, Also::default());
    }

    #[test]
    fn nor_when_disks_are_lost_one_at_a_time(seed in any::<u64>(), voters in 3usize..=5) {
        life(seed, voters, Also { wiped: true, ..Also::default() });
    }

    #[test]
    fn nor_when_the_voters_are_changed_all_the_time(seed in any::<u64>()) {
        life(seed, 5, Also { changed: true, ..Also::default() });
    }
}
