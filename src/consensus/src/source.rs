use std::sync::Arc;

use futures::stream::BoxStream;
use ringrift_state::{Agreed, Update};
use ringrift_watch::{Leadership, Source};
use tokio::sync::watch;

use crate::{Consensus, RaftStatus};

/// A voter's log, for the hub that its watchers read from.
pub struct WatchSource {
    consensus: Consensus,
    leadership: watch::Receiver<Leadership>,
}

impl WatchSource {
    /// The source, and the work of translating the voter's status for it, which the caller runs. The work ends with the voter or with
    /// the last reader.
    pub fn prepare(consensus: Consensus) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let mut status = consensus.status();
        let (sender, receiver) = watch::channel(leadership(&status.borrow()));
        let work = async move {
            while status.changed().await.is_ok() {
                let now = leadership(&status.borrow_and_update());
                if sender.send(now).is_err() {
                    return;
                }
            }
        };
        (Self { consensus, leadership: receiver }, work)
    }
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

impl Source for WatchSource {
    fn agreed(&self) -> Arc<Agreed> {
        self.consensus.agreed()
    }

    fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        self.consensus.subscribe(from_index)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    fn leadership_now(&self) -> Leadership {
        leadership(&self.consensus.status().borrow())
    }
}
