//! Reads the models again now and then, slowly, to find what the disk has lost by itself.

use std::time::Duration;

use ringrift_store::{Stop, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long after one scrub the next begins: each byte is read four times a day, at 20 MB/s in two minutes.
const EVERY: Duration = Duration::from_hours(6);
/// The first begins within this time of the start, at random: nodes that start together do not read together.
const FIRST_WITHIN: Duration = Duration::from_hours(1);

/// Scrubs until `shutdown`. What is found is told as events of the store, and dealt with like any other damage.
pub(crate) async fn run(store: Store, shutdown: CancellationToken) {
    let mut wait = FIRST_WITHIN.mul_f64(rand::random());
    let stop = Stop::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
        wait = EVERY;
        let (scrubbed, stopping) = (store.clone(), stop.clone());
        let scrub = tokio::task::spawn_blocking(move || scrubbed.scrub(&stopping));
        tokio::pin!(scrub);
        let done = tokio::select! {
            done = &mut scrub => done,
            () = shutdown.cancelled() => {
                stop.stop();
                scrub.await
            }
        };
        match done {
            Ok(Ok(done)) => info!(
                files = done.files,
                bytes = done.bytes,
                damaged = done.rotten.len() + done.repaired.len(),
                "all models were read again"
            ),
            Ok(Err(StoreError::Stopped)) => return,
            Ok(Err(error)) => warn!(%error, "the models could not be read again"),
            Err(error) => warn!(%error, "reading the models again ended by itself"),
        }
    }
}
