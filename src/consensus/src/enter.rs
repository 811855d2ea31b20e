//! The task that brings a voter into its cluster.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use ringrift_config::NodeId;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    formation::{Answers, Newcomer, Step, floor},
    gate::Admission,
    network::Links,
    serve::Service,
    settings::Timers,
    store::Standing,
    types::Voter,
    wire::{Request, Response},
};

/// Brings this voter into its cluster, and then ends.
pub(crate) struct Enter {
    pub(crate) service: Arc<Service>,
    pub(crate) timers: Timers,
    pub(crate) links: Links,
    /// Why it takes so long, as a sentence; `None` once this voter takes part.
    pub(crate) waiting: Arc<watch::Sender<Option<String>>>,
}

impl Enter {
    /// Errors are the disk's: Raft has stopped by itself then.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut standing = self.service.store.mirror().standing.clone();
        if standing == Standing::Fresh {
            standing = self.find_a_way().await;
            self.service.store.set_standing(standing.clone()).await.map_err(|e| e.to_string())?;
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
        let Service { node, life, genesis, .. } = &*self.service;
        let mut newcomer = Newcomer::new(node, *life, genesis);
        loop {
            let answers = self.ask(genesis).await;
            self.service.met().extend(answers.iter().map(|(who, greeting)| (who.clone(), greeting.life)));
            let patient = Instant::now() < patient_until;
            match newcomer.next_step(&answers, patient) {
                Step::Found => return Standing::Founder { genesis: genesis.clone() },
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

    /// Writes the first log entry, the founding voters, and takes part. It is the same entry on every founder, of term 0 that no
    /// leader can have, so whichever of them do it agree: the first election then decides as any other.
    ///
    /// The entry comes before the first promise: a founder that votes without it could not stand for election itself, should the
    /// one that it voted for be lost.
    async fn found(&self, genesis: &BTreeSet<NodeId>) -> Result<(), String> {
        let Service { node, raft, store, gate, .. } = &*self.service;
        if store.mirror().last().is_none() {
            let voters: BTreeSet<Voter> = genesis.iter().cloned().map(Voter).collect();
            tracing::info!(voters = %crate::error::list(genesis), "founding the cluster");
            raft.initialize(voters).await.map_err(|e| e.to_string())?;
        }
        gate.set(Admission::Open);
        self.waiting.send_replace(None);
        // To have one candidate rather than all at once, the first founder in the order of names begins, and each next one only
        // if nothing has come from those before it.
        let rank = genesis.iter().position(|founder| founder == node).unwrap_or(0);
        let begin = Instant::now() + self.timers.election_max * rank as u32;
        while Instant::now() < begin && store.mirror().last().is_none_or(|last| last.index() == 0) {
            sleep(self.timers.heartbeat / 2).await;
        }
        raft.runtime_config().elect(true);
        Ok(())
    }

    async fn catch_up(&self, cluster: String) -> Result<(), String> {
        self.service.gate.set(Admission::Joining { cluster: cluster.clone(), floor: None });
        let may_vote_at = Instant::now() + self.timers.election_max * 2;
        loop {
            let known = self.service.raft.voter_ids().map(|voter| voter.0);
            let voters: BTreeSet<NodeId> = self.service.genesis.iter().cloned().chain(known).collect();
            match floor(&self.service.node, &cluster, &self.ask(&voters).await) {
                Ok(floor) => {
                    self.service.gate.raise(floor.term);
                    let applied = self.service.feed.agreed().index;
                    self.say(&format!("catching up: {applied} of {} log entries", floor.index));
                    let term = self.service.raft.with_raft_state(|state| state.vote_ref().leader_id.term).await;
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
        self.service.store.set_standing(Standing::Member).await.map_err(|e| e.to_string())?;
        tracing::info!(%cluster, "caught up; this voter takes part");
        self.open();
        Ok(())
    }

    fn open(&self) {
        self.service.gate.set(Admission::Open);
        self.service.raft.runtime_config().elect(true);
        self.waiting.send_replace(None);
    }

    /// Asks the others who they are, all at once.
    async fn ask(&self, voters: &BTreeSet<NodeId>) -> Answers {
        let request = || Request::Hello { genesis: self.service.genesis.clone() };
        let questions: FuturesUnordered<_> = voters
            .iter()
            .filter(|voter| **voter != self.service.node)
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
