//! The handle that the rest of the daemon holds.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::stream::BoxStream;
use openraft::async_runtime::watch::WatchReceiver;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, Command, Outcome, Update};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    campaign::Campaign,
    duties::Duties,
    enter::Enter,
    error::{ChangeError, ProposeError, StartError, TransferError},
    gate::Gate,
    machine::Machine,
    network::{Links, Quiet},
    observe::{self, Clock, Observer},
    propose,
    raft_config::{Tuning, raft_config},
    runtime::{part, random},
    serve::{Heard, Service, names},
    settings::{ConsensusConfig, Timers},
    status::{RaftStatus, Role},
    store::{Log, Standing, Store},
    transport::Transport,
    types::{Raft, Voter},
    voters,
};

/// How long a graceful stop waits for another voter to take over.
const FAREWELL: Duration = Duration::from_secs(2);

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
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) service: Arc<Service>,
    pub(crate) links: Links,
    pub(crate) timers: Timers,
    pub(crate) status: watch::Receiver<RaftStatus>,
    /// Held by whoever changes the voters.
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    progress: Arc<AtomicU64>,
    /// Ends with the handle.
    tasks: Mutex<JoinSet<()>>,
}

impl Consensus {
    /// Opens the log and takes part. Returns before there is a leader; [`status`](Self::status) tells when there is one.
    ///
    /// # Errors
    ///
    /// If the log cannot be opened or trusted. Nothing is changed on disk then.
    pub async fn start(config: ConsensusConfig, transport: Arc<dyn Transport>) -> Result<Self, StartError> {
        Self::start_tuned(config, transport, Tuning::default()).await
    }

    pub(crate) async fn start_tuned(
        config: ConsensusConfig,
        transport: Arc<dyn Transport>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let ConsensusConfig { node, dir, genesis, timers } = config;
        let raft_config = raft_config(timers, tuning)?;
        let quiet_period = raft_config.quorum_loss_probe_interval.map(Duration::from_millis);
        let open = {
            let node = node.clone();
            move || Store::open(&dir, &node, tuning.inline_writes)
        };
        // Simulated time must not depend on when another thread is done.
        let opened = if tuning.inline_writes { Ok(open()) } else { tokio::task::spawn_blocking(open).await };
        let store = opened.map_err(|e| StartError::Raft(e.to_string()))??;
        if store.mirror().standing == Standing::Fresh && !genesis.contains(&node) {
            store.close().await;
            return Err(StartError::NotAVoter { node, genesis });
        }

        let (machine, feed) = Machine::new(store.clone());
        let gate = Arc::new(Gate::new(&store.mirror().standing));
        let cluster = {
            let (store, feed, gate, genesis) = (store.clone(), feed.clone(), gate.clone(), genesis.clone());
            Arc::new(move || names(&store, &feed, &gate, &genesis).sent().to_owned())
        };
        let append_deadline = timers.election_min;
        let quiet = Arc::new(Quiet::default());
        let links = Links { node: node.clone(), transport, cluster, quiet: quiet.clone(), append_deadline };
        let id = Voter(node.clone());
        let raft = Raft::new(id, raft_config, links.clone(), Log(store.clone()), machine).await;
        let raft = match raft {
            Ok(raft) => raft,
            Err(fatal) => {
                let path = store.path().to_owned();
                store.close().await;
                return Err(StartError::Damaged { path, what: fatal.to_string() });
            }
        };

        if let Some(period) = quiet_period {
            quiet.watch(raft.metrics(), timers.election_max, period);
        }

        let service = Arc::new(Service {
            node: node.clone(),
            genesis: genesis.clone(),
            raft: raft.clone(),
            store: store.clone(),
            feed: feed.clone(),
            gate: gate.clone(),
            heard: Heard::default(),
            life: random(),
            met: Mutex::default(),
            arriving: Mutex::new(None),
        });
        let waiting = Arc::new(watch::Sender::new(Some("starting".to_owned())));
        let clock = Clock::new();
        // Nobody may take it for a voter that takes part before it has found out whether it does.
        let first = waiting.borrow().clone();
        let first = observe::read(&raft.metrics().borrow_watched(), &service, (timers, clock), first, &mut None);
        let (status_tx, status) = watch::channel(first);
        let changing = Arc::new(tokio::sync::Mutex::new(()));
        let progress = Arc::new(AtomicU64::new(0));

        let mut tasks = JoinSet::new();
        tasks.spawn(part(
            Observer { service: service.clone(), timers, status: status_tx, waiting: waiting.clone(), clock }.run(),
        ));
        tasks.spawn(part(observe::count_progress(service.clone(), progress.clone())));
        let duties = Duties { service: service.clone(), status: status.clone(), changing: changing.clone(), timers };
        tasks.spawn(part(duties.run()));
        if tuning.pre_vote && tuning.campaign {
            tasks.spawn(part(Campaign { service: service.clone(), links: links.clone(), timers }.run()));
        }
        let enter = Enter { service: service.clone(), timers, links: links.clone(), waiting };
        tasks.spawn(part(async move {
            if let Err(error) = enter.run().await {
                tracing::error!(%error, "this voter cannot take part");
            }
        }));
        let tasks = Mutex::new(tasks);
        Ok(Self { inner: Arc::new(Inner { service, links, timers, status, changing, progress, tasks }) })
    }

    /// Answers another voter's request. `from` must be who really sent it.
    ///
    /// # Errors
    ///
    /// A sentence for the sender: the request makes no sense, belongs to another cluster, or comes at the wrong time.
    pub async fn serve(&self, from: &NodeId, request: Bytes) -> Result<Bytes, String> {
        self.inner.service.serve(from, &request).await
    }

    /// Has a command agreed on and applied; on the leader only. What it changed is in [`agreed`](Self::agreed) then.
    ///
    /// Fails at once where no leader is known. A leader that was just elected, or is handing over, makes it wait for up to 2 s.
    ///
    /// # Errors
    ///
    /// See [`ProposeError`]; only after [`ProposeError::Timeout`] it may have been agreed on all the same.
    pub async fn propose(&self, command: Command) -> Result<Committed, ProposeError> {
        propose::propose(&self.inner, command).await
    }

    /// Returns once [`agreed`](Self::agreed) holds everything that was agreed on before the call; on the leader only.
    ///
    /// # Errors
    ///
    /// See [`ProposeError`].
    pub async fn read_barrier(&self) -> Result<(), ProposeError> {
        propose::read_barrier(&self.inner).await
    }

    /// Who leads, as this node knows it. Changes wake the receiver; newer times alone do not, and are there for whoever looks.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.inner.status.clone()
    }

    /// What is agreed, as far as applied here. Takes no lock.
    pub fn agreed(&self) -> Arc<Agreed> {
        self.inner.service.feed.agreed()
    }

    /// What is agreed, beginning with the entry `from_index`: entries without gaps, or a snapshot first where the entries
    /// are no longer at hand. Entries that are not there yet are waited for. A receiver that is too slow gets a snapshot.
    ///
    /// The index means something within one cluster only: who may have read another one begins with 0.
    pub fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update> {
        let Service { feed, store, .. } = &*self.inner.service;
        feed.subscribe(feed.clone(), store.clone(), from_index)
    }

    /// Replaces the voters, without losing a quorum on the way; on the leader only.
    ///
    /// New voters first catch up without voting, for up to 10 s; then the old and the new set together agree on the
    /// change. A leader that is not in the new set hands over and goes on as a learner.
    ///
    /// # Errors
    ///
    /// See [`ChangeError`]. Unless it is [`ChangeError::Unfinished`] or a timeout, the voters are as they were.
    pub async fn change_voters(&self, target: BTreeSet<NodeId>) -> Result<(), ChangeError> {
        voters::change(&self.inner, target).await
    }

    /// Hands leadership over to `to`, or to the voter that is closest behind; on the leader only. Returns the new leader.
    ///
    /// # Errors
    ///
    /// See [`TransferError`].
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<NodeId, TransferError> {
        voters::transfer(&self.inner, to).await
    }

    /// Hands leadership over if there is any, stops and closes the log.
    pub async fn shutdown(&self) {
        let status = self.inner.status.borrow().clone();
        if status.role == Role::Leader && status.voters.len() > 1 {
            match tokio::time::timeout(FAREWELL, self.transfer(None)).await {
                Ok(Ok(leader)) => tracing::info!(%leader, "handed leadership over before stopping"),
                Ok(Err(error)) => tracing::warn!(%error, "stopping without a successor"),
                Err(_) => tracing::warn!("stopping without a successor: nobody took over in time"),
            }
        }
        // Who waits for the status learns from the observer that Raft has stopped; then the other tasks can go.
        let stopped = self.inner.service.raft.shutdown().await;
        if let Err(error) = stopped {
            tracing::error!(%error, "raft did not stop cleanly");
        }
        let mut status = self.status();
        // An error means that the observer has ended already.
        let _ = status.wait_for(|status| status.stopped.is_some()).await;
        let mut tasks =
            std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        tasks.shutdown().await;
        self.inner.service.feed.end();
        self.inner.service.store.close().await;
    }

    /// Grows as long as Raft and the disk get on with their work, also when nothing is agreed on; for the watchdog.
    pub fn progress(&self) -> u64 {
        self.inner.progress.load(Ordering::Relaxed)
    }

    /// Makes the disk stand still for ever as far as this voter can tell: for the tests of the watchdog.
    pub fn hang(&self) {
        self.inner.service.store.hang();
    }

    /// Stops as if the power were cut: what is not on disk is lost, and nobody is told.
    #[cfg(test)]
    pub(crate) async fn crash(&self) {
        let mut tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap());
        self.inner.service.store.cut();
        self.inner.service.feed.end();
        tasks.shutdown().await;
        let _ = self.inner.service.raft.shutdown().await;
    }
}
