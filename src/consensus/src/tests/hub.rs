//! What a voter serves its workers from, joined to its consensus as the daemon does it.

use std::sync::Arc;

use futures::stream::BoxStream;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, Update};
use ringrift_watch::{Hub, HubConfig, Leadership, Source};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::runtime::Process;
use crate::{Consensus, RaftStatus};

struct Log {
    consensus: Consensus,
    leadership: watch::Receiver<Leadership>,
}

fn leadership(status: &RaftStatus) -> Leadership {
    Leadership {
        term: status.term,
        leader: status.leader.clone(),
        voters: status.voters.clone(),
        committed: status.committed,
        leader_seen: status.leader_last_seen,
    }
}

impl Source for Log {
    fn agreed(&self) -> Arc<Agreed> {
        self.consensus.agreed()
    }

    fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        self.consensus.subscribe(from_index)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }
}

/// The hub of a voter; it ends with the voter.
pub(crate) fn start(node: NodeId, consensus: &Consensus, process: &Process) -> Hub {
    let mut status = consensus.status();
    let (sender, receiver) = watch::channel(leadership(&status.borrow()));
    tokio::spawn(process.clone().run(async move {
        while status.changed().await.is_ok() {
            let now = leadership(&status.borrow_and_update());
            if sender.send(now).is_err() {
                return;
            }
        }
    }));
    let log = Arc::new(Log { consensus: consensus.clone(), leadership: receiver });
    let (hub, work) = Hub::prepare(HubConfig::new(node), log, CancellationToken::new());
    tokio::spawn(process.clone().run(work));
    hub
}
