//! What clients see of five daemons that are killed, frozen, cut off and whose disks are full is what one node alone could have
//! answered: the history of all requests is linearizable, and every acknowledged change is in the event log once.
//!
//! `HISTORY_SEED=N` runs one seed again, as far as real processes can be repeated: the faults are the same, their moments
//! differ. `HISTORY_SECONDS=N` goes on for so long.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clients;
#[path = "../cluster/mod.rs"]
mod cluster;
mod events;
mod faults;
#[path = "../namespace/mod.rs"]
mod namespace;
mod object;

use std::{env, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    clients::{Client, Record},
    cluster::Cluster,
    faults::Faults,
};

const VOTERS: usize = 5;
const CLIENTS: usize = 6;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap())
}

#[test]
fn whatever_happens_to_five_daemons_clients_see_one_history() {
    namespace::run_in_own("whatever_happens_to_five_daemons_clients_see_one_history", || {
        let seed = number("HISTORY_SEED").unwrap_or_else(rand::random);
        let lasts = Duration::from_secs(number("HISTORY_SECONDS").unwrap_or(25));
        eprintln!("HISTORY_SEED={seed}");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(history(seed, lasts));
    });
}

async fn history(seed: u64, lasts: Duration) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::new(VOTERS, 0);
    faults::small_disk(&cluster.nodes[VOTERS - 1].dir);
    cluster.start();
    cluster.formed().await;

    let record = Arc::new(Record::default());
    let stop = CancellationToken::new();
    let urls: Vec<String> = (0..VOTERS).map(|i| cluster.url(i)).collect();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client::new(number, &urls, record.clone(), rng.random());
        clients.spawn(client.run(stop.clone()));
    }
    let mut faults = Faults::new(&mut cluster, rng.random());
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        faults.next().await;
    }
    faults.mend().await;
    eprintln!("{}", faults.summary());
    cluster.formed().await;
    stop.cancel();
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    // What each node says at last is part of the history.
    let reader = Client::new(CLIENTS, &urls, record.clone(), 0);
    reader.read_everything_everywhere().await;

    let record = Arc::into_inner(record).unwrap();
    let (done, unknown, refused) = record.counts();
    eprintln!("{done} requests were answered, {refused} refused, and of {unknown} nobody knows what became of them");
    assert!(done > 100, "too few requests to say anything: {done}");
    object::check(&record);
    events::check(&record, &cluster).await;
}
