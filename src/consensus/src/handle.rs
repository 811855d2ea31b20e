//! The handle that the rest of the daemon holds.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use futures::stream::BoxStream;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, Command, Outcome, Update};
use tokio::sync::watch;

use crate::{
    error::{ChangeError, ProposeError, StartError, TransferError},
    settings::ConsensusConfig,
    status::RaftStatus,
    transport::Transport,
};

/// A command that was agreed on and applied here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Index in the log.
    pub index: u64,
    /// Term in which it was proposed.
    pub term: u64,
    /// What it did.
    pub outcome: Outcome,
}

/// This node's part in the consensus. Clones are handles to the same one.
#[derive(Clone)]
pub struct Consensus {
    _inner: Arc<()>,
}

impl Consensus {
    /// Opens the log and takes part.
    pub async fn start(config: ConsensusConfig, transport: Arc<dyn Transport>) -> Result<Self, StartError> {
        let _ = (config, transport);
        unimplemented!()
    }

    /// Answers another voter's request. `from` must be who really sent it.
    pub async fn serve(&self, from: &NodeId, request: Bytes) -> Result<Bytes, String> {
        let _ = (from, request);
        unimplemented!()
    }

    /// Has a command agreed on and applied; on the leader only.
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        let _ = command;
        unimplemented!()
    }

    /// Returns once [`agreed`](Self::agreed) holds everything that was agreed on before the call; on the leader only.
    pub async fn read_barrier(&self) -> Result<(), ProposeError> {
        unimplemented!()
    }

    /// Who leads, as this node knows it; changes wake the receiver.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        unimplemented!()
    }

    /// What is agreed, as far as applied here.
    pub fn agreed(&self) -> Arc<Agreed> {
        unimplemented!()
    }

    /// What is agreed, beginning with the entry `from_index`: entries without gaps, or a snapshot first where the entries
    /// are no longer at hand. A receiver that is too slow gets a snapshot again.
    pub fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        let _ = from_index;
        unimplemented!()
    }

    /// Replaces the voters, without losing a quorum on the way; on the leader only.
    pub async fn change_voters(&self, target: BTreeSet<NodeId>) -> Result<(), ChangeError> {
        let _ = target;
        unimplemented!()
    }

    /// Hands leadership over to `to`, or to the voter that is closest behind; on the leader only.
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        let _ = to;
        unimplemented!()
    }

    /// Hands leadership over if there is any, stops and closes the log.
    pub async fn shutdown(&self) {
        unimplemented!()
    }

    /// Grows as long as consensus is alive, also when nothing is agreed on; for the watchdog.
    pub fn progress(&self) -> u64 {
        unimplemented!()
    }
}
