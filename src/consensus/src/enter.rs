//! The task that brings a voter into its cluster.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use openraft::errors::RaftError;
use ringrift_config::NodeId;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    feed::Feed,
    formation::{Answers, Step, floor, next_step},
    gate::{Admission, Gate},
    network::Links,
    settings::Timers,
    store::{Standing, Store},
    types::{Raft, Voter},
    wire::{Request, Response},
};

/// Brings this voter into its cluster, and then ends.
pub(crate) struct Enter {
    pub(crate) node: NodeId,
    pub(crate) genesis: BTreeSet<NodeId>,
    pub(crate) timers: Timers,
    pub(crate) links: Links,
    pub(crate) raft: Raft,
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) gate: Arc<Gate>,
    /// Why it takes so long, as a sentence; `None` once this voter takes part.
    pub(crate) waiting: Arc<watch::Sender<Option<String>>>,
}

impl Enter {
    /// Errors are the disk's: Raft has stopped by itself then.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut standing = self.store.mirror().standing.clone();
        if standing == Standing::Fresh {
            standing = self.find_a_way().await;
            self.store.set_standing(standing.clone()).await.map_err(|e| e.to_string())?;
        }
        match standing {
            Standing::Fresh => Err("a voter without a way into a cluster".into()),
            Standing::Founder { genesis } => self.found(&genesis).await,
            Standing::Joining { cluster } => self.catch_up(cluster).await,
            Standing::Member => {
                self.open();
                Ok(())
            }
        }
    }

    async fn find_a_way(&self) -> Standing {
        // Who starts at the same time answers within a few elections' time, or not soon.
        let patient_until = Instant::now() + self.timers.election_max * 3;
        loop {
            let answers = self.ask(&self.genesis).await;
            let patient = Instant::now() < patient_until;
            match next_step(&self.node, &self.genesis, &answers, patient) {
                Step::Found => return Standing::Founder { genesis: self.genesis.clone() },
                Step::Join(cluster) => {
                    tracing::info!(%cluster, "this voter has no log and there is a cluster; it catches up before it votes");
                    return Standing::Joining { cluster };
                }
                Step::Wait(what) => {
                    if self.say(&what) {
                        tracing::info!("{what}");
                    }
                }
                Step::Refuse(what) => {
                    if self.say(&what) {
                        tracing::error!("{what}");
                    }
                }
            }
            sleep(self.timers.heartbeat).await;
        }
    }

    /// Writes the first log entry, the founding voters. It is the same entry on every founder, of term 0 that no leader can have, so
    /// whichever of them do it agree: the first election then decides as any other. To have one candidate
    /// rather than all at once, the first founder in the order of names begins, and each next one only if nothing has come
    /// from those before it.
    async fn found(&self, genesis: &BTreeSet<NodeId>) -> Result<(), String> {
        let rank = genesis.iter().position(|founder| *founder == self.node).unwrap_or(0);
        self.open();
        let begin = Instant::now() + self.timers.election_max * rank as u32;
        while Instant::now() < begin && self.store.mirror().last().is_none() {
            sleep(self.timers.heartbeat / 2).await;
        }
        if self.store.mirror().last().is_none() {
            let voters: BTreeSet<Voter> = genesis.iter().cloned().map(Voter).collect();
            tracing::info!(voters = %crate::error::list(genesis), "founding the cluster");
            // Any other error: it has voted or been fed meanwhile, so the cluster is founded.
            if let Err(RaftError::Fatal(fatal)) = self.raft.initialize(voters).await {
                return Err(fatal.to_string());
            }
        }
        Ok(())
    }

    async fn catch_up(&self, cluster: String) -> Result<(), String> {
        self.gate.set(Admission::Joining { cluster: cluster.clone(), floor: None });
        let may_vote_at = Instant::now() + self.timers.election_max * 2;
        loop {
            let known = self.raft.voter_ids().map(|voter| voter.0);
            let voters: BTreeSet<NodeId> = self.genesis.iter().cloned().chain(known).collect();
            match floor(&self.node, &cluster, &self.ask(&voters).await) {
                Ok(floor) => {
                    self.gate.raise(floor.term);
                    let applied = self.feed.agreed().index;
                    self.say(&format!("catching up: {applied} of {} log entries", floor.index));
                    let term = self.raft.with_raft_state(|state| state.vote_ref().leader_id.term).await;
                    let term = term.map_err(|e| e.to_string())?;
                    if applied >= floor.index && term >= floor.term && Instant::now() >= may_vote_at {
                        break;
                    }
                }
                Err(what) => {
                    if self.say(&what) {
                        tracing::info!("{what}");
                    }
                }
            }
            sleep(self.timers.heartbeat).await;
        }
        self.store.set_standing(Standing::Member).await.map_err(|e| e.to_string())?;
        tracing::info!(%cluster, "caught up; this voter takes part");
        self.open();
        Ok(())
    }

    fn open(&self) {
        self.gate.set(Admission::Open);
        self.raft.runtime_config().elect(true);
        self.waiting.send_replace(None);
    }

    /// Asks the others who they are, all at once.
    async fn ask(&self, voters: &BTreeSet<NodeId>) -> Answers {
        let request = || Request::Hello { genesis: self.genesis.clone() };
        let questions: FuturesUnordered<_> = voters
            .iter()
            .filter(|voter| **voter != self.node)
            .map(|voter| async move { (voter, self.links.ask(voter, request(), self.timers.election_min).await) })
            .collect();
        questions
            .filter_map(|(voter, answer)| async move {
                match answer {
                    Ok(Response::Hello(greeting)) => Some((voter.clone(), greeting)),
                    _ => None,
                }
            })
            .collect()
            .await
    }

    /// Whether it is something new.
    fn say(&self, what: &str) -> bool {
        self.waiting.send_if_modified(|waiting| {
            let new = waiting.as_deref() != Some(what);
            if new {
                *waiting = Some(what.to_owned());
            }
            new
        })
    }
}
