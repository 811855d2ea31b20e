//! Does everybody who lives get everything, whoever dies, falls silent or begins late?
//!
//! Whole engines with real stores, in virtual time: each node sends at a rate of its own. `CHURN_SEED=N` plays one seed, `CHURN_RUNS=N`
//! so many from the first.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Net, Node, blob, config, id, members, noise};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringrift_blob::Digest;
use ringrift_exchange::FetchState;
use tokio::time::{Instant, sleep, timeout};

const NODES: usize = 10;
/// Bytes a second that the slowest and the fastest node sends.
const RATES: (u64, u64) = (200_000, 2_000_000);
const SIZE: usize = 1 << 20;
const RUNS: u64 = 6;
/// From the last fault until all must be there. All of it over the slowest link takes 47 s; a node that fell silent is left alone
/// for 60 s after 30 s.
const PATIENCE: Duration = Duration::from_mins(5);

#[test]
fn who_lives_gets_everything_however_others_end() {
    let variable = |name| std::env::var(name).ok().map(|text: String| text.parse::<u64>().unwrap());
    let seeds = variable("CHURN_SEED").map_or(0..variable("CHURN_RUNS").unwrap_or(RUNS), |seed| seed..seed + 1);
    for seed in seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let outcome = runtime.block_on(churn(seed));
        println!("CHURN_SEED={seed}: {outcome:?}");
        outcome.unwrap_or_else(|why| panic!("CHURN_SEED={seed}: {why}"));
    }
}

/// What happens to a node, once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// It dies without a goodbye.
    Dies,
    /// It dies, and is started again with what it had.
    Returns,
    /// Its streams carry nothing, for a while.
    Freezes(Duration),
    /// All its streams break.
    Breaks,
    /// It learns what is wanted, and who takes part.
    Begins,
}

/// While the others exchange: all of it takes them 2 s.
fn soon(dice: &mut SmallRng) -> Duration {
    Duration::from_millis(dice.random_range(0..2500))
}

async fn churn(seed: u64) -> Result<Duration, String> {
    let mut dice = SmallRng::seed_from_u64(seed);
    let names: Vec<String> = (0..NODES).map(|at| format!("n{at}")).collect();
    let everybody = members(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let net = Arc::new(Net::default());
    for name in &names {
        net.limit(&id(name), dice.random_range(RATES.0..RATES.1));
    }
    let configured = |name: &String, salt| {
        let mut config = config(name);
        config.degree = 4;
        config.planner.seed = seed * 1000 + salt;
        config
    };
    let mut nodes: Vec<Option<Node>> =
        names.iter().zip(1..).map(|(name, salt)| Some(Node::start(&net, configured(name, salt)))).collect();
    let bytes = noise(SIZE, seed);
    let origin = dice.random_range(0..NODES);
    nodes[origin].as_ref().unwrap().ingest(&bytes);
    let wanted = blob(&bytes, 16 << 10);
    let begin = |node: &Node| {
        node.engine.set_wanted(vec![wanted.clone()]);
        node.engine.set_members(everybody.clone());
    };
    let mut events: Vec<(Duration, usize, Fate)> = (0..NODES).map(|at| (soon(&mut dice), at, Fate::Begins)).collect();
    for _ in 0..dice.random_range(1..4) {
        let at = (origin + dice.random_range(1..NODES)) % NODES;
        let fate = match dice.random_range(0..5) {
            0 | 1 => Fate::Dies,
            2 => Fate::Returns,
            3 => Fate::Freezes(Duration::from_secs(dice.random_range(1..60))),
            _ => Fate::Breaks,
        };
        events.push((soon(&mut dice), at, fate));
    }
    events.sort_by_key(|(when, ..)| *when);
    let start = Instant::now();
    for (when, at, fate) in &events {
        sleep((start + *when).saturating_duration_since(Instant::now())).await;
        let Some(node) = nodes[*at].take() else { continue };
        nodes[*at] = match fate {
            Fate::Dies => {
                node.die().await;
                None
            }
            Fate::Returns => {
                let store = node.store.clone();
                let folder = node.die().await;
                drop(store);
                let store = common::store_at(folder.path());
                let again = Node::start_with(&net, configured(&names[*at], 77), folder, store);
                begin(&again);
                Some(again)
            }
            Fate::Freezes(lasts) => {
                net.freeze(&node.id, *lasts);
                Some(node)
            }
            Fate::Breaks => {
                net.break_all(&node.id);
                Some(node)
            }
            Fate::Begins => {
                begin(&node);
                Some(node)
            }
        };
    }
    let last_fault = Instant::now();
    for (at, node) in nodes.iter().enumerate() {
        let Some(node) = node else { continue };
        let left = PATIENCE.saturating_sub(last_fault.elapsed());
        if timeout(left, complete(node, wanted.sha256)).await.is_err() {
            let is = node.engine.progress().borrow().clone();
            return Err(format!("after {events:?} n{at} is not done {PATIENCE:?} after the last: {is:?}"));
        }
        assert!(node.bytes(&wanted.sha256) == bytes, "CHURN_SEED={seed}: n{at} has other bytes");
    }
    let took = last_fault.elapsed();
    for node in nodes.into_iter().flatten() {
        node.die().await;
    }
    Ok(took)
}

async fn complete(node: &Node, sha256: Digest) {
    let mut progress = node.engine.progress();
    let whole =
        progress.wait_for(|now| now.iter().any(|one| one.sha256 == sha256 && one.state == FetchState::Complete));
    whole.await.unwrap();
}
