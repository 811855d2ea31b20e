//! What a voter serves its workers from, joined to its consensus as the daemon does it.

use std::{sync::Arc, time::Duration};

use ringrift_config::NodeId;
use ringrift_watch::{Hub, HubConfig};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{Cluster, until},
    runtime::Process,
    worker::Worker,
};
use crate::{Consensus, WatchSource};

/// The hub of a voter; it ends with the voter.
pub(crate) fn start(node: NodeId, consensus: &Consensus, process: &Process) -> Hub {
    let (source, translation) = WatchSource::prepare(consensus.clone());
    tokio::spawn(process.clone().run(translation));
    let (hub, work) = Hub::prepare(HubConfig::new(node), Arc::new(source), CancellationToken::new());
    tokio::spawn(process.clone().run(work));
    hub
}

#[tokio::test(start_paused = true)]
async fn a_worker_knows_that_its_state_is_current_while_nothing_is_written_and_nobody_is_lost() {
    let mut cluster = Cluster::empty();
    cluster.hubs = true;
    cluster.start_all("a b c").await;
    cluster.write(1).await;
    let mut worker = Worker::new("w".to_owned(), 1, None);
    let follower = worker.start(&cluster.net, "a b c").unwrap().follower.clone();
    let status = || follower.status().borrow().clone();
    let voter = until("it follows", || status().connected_to.filter(|_| status().staleness().is_some())).await;
    for _ in 0..60 {
        sleep(Duration::from_secs(1)).await;
        let seen = status();
        assert_eq!(seen.connected_to.as_ref(), Some(&voter), "{seen:?}");
        assert!(seen.staleness().is_some_and(|age| age < Duration::from_secs(3)), "{seen:?}: {:?}", seen.staleness());
    }
}
