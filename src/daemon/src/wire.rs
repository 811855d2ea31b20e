//! Joins the subsystems to the links: each speaks through a narrow trait of its own.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use rand::seq::SliceRandom as _;
use ringrift_config::NodeId;
use ringrift_consensus::TransportError;
use ringrift_link::{LinkError, Links, Protocol};
use ringrift_members::{Members, State};
use ringrift_watch::{BoxedStream, Dialer};

use crate::{
    agreement::{Agreement, LEADER_FORGOTTEN},
    facts::NodeFacts,
};

/// Gossip over links.
pub(crate) struct GossipOverLinks(pub(crate) Links);

#[async_trait]
impl ringrift_members::Transport for GossipOverLinks {
    async fn exchange(&self, to: &NodeId, request: Bytes, deadline: Duration) -> Result<Bytes, String> {
        self.0.call(to, Protocol::Gossip, request, deadline).await.map_err(|e| e.to_string())
    }
}

/// Raft over links.
pub(crate) struct RaftOverLinks(pub(crate) Links);

#[async_trait]
impl ringrift_consensus::Transport for RaftOverLinks {
    async fn call(&self, to: &NodeId, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError> {
        self.0.call(to, Protocol::Raft, request, deadline).await.map_err(|error| match error {
            LinkError::Timeout { .. } => TransportError::Timeout,
            other => TransportError::Unreachable(other.to_string()),
        })
    }
}

/// Opens the watch stream of a node that does not vote.
pub(crate) struct VoterDialer {
    node: NodeId,
    links: Links,
    members: Members<NodeFacts>,
    /// Voters that the hosts file names: the first place to ask.
    named: Vec<NodeId>,
    /// Made after the dialer, since it holds the follower.
    agreement: OnceLock<Weak<Agreement>>,
    /// Since when this node has voted without knowing a leader.
    leaderless: Mutex<Option<Instant>>,
}

/// How often a voter looks whether it still is one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl VoterDialer {
    pub(crate) fn new(node: NodeId, links: Links, members: Members<NodeFacts>, named: Vec<NodeId>) -> Self {
        Self { node, links, members, named, agreement: OnceLock::new(), leaderless: Mutex::default() }
    }

    pub(crate) fn learn_from(&self, agreement: &Arc<Agreement>) {
        let _ = self.agreement.set(Arc::downgrade(agreement));
    }

    fn agreement(&self) -> Option<Arc<Agreement>> {
        self.agreement.get().and_then(Weak::upgrade)
    }

    /// Whether this node's own log is the best that there is to read: it votes, and somebody leads it. A voter without a leader
    /// asks the others after a while, for it may have been taken out while it was away: then no leader ever tells it.
    fn reads_its_own(&self) -> bool {
        let Some(agreement) = self.agreement() else { return false };
        let Some((_, status)) = agreement.voting() else {
            return agreement.consensus().is_some() && self.candidates(&BTreeSet::new()).is_empty();
        };
        let mut leaderless = self.leaderless.lock().unwrap_or_else(PoisonError::into_inner);
        if status.leader.is_some() {
            *leaderless = None;
            return true;
        }
        leaderless.get_or_insert_with(Instant::now).elapsed() < LEADER_FORGOTTEN
    }

    /// Voters in the order in which to ask: at random, so that a thousand workers spread over them; those that are not
    /// alive, and those that gave no good answer lately, last.
    fn candidates(&self, avoid: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let agreed = self.agreement().map(|a| a.leadership().voters).unwrap_or_default();
        let mut voters: Vec<NodeId> = if agreed.is_empty() { self.named.clone() } else { agreed };
        // A list that was agreed long ago may name nobody who is left; the file's may.
        for voter in &self.named {
            if !voters.contains(voter) {
                voters.push(voter.clone());
            }
        }
        voters.retain(|v| *v != self.node);
        voters.shuffle(&mut rand::rng());
        let table = self.members.table();
        let alive = |v: &NodeId| table.get(v).is_some_and(|m| m.state == State::Alive);
        voters.sort_by_key(|v| (avoid.contains(v), !alive(v)));
        voters
    }
}

#[async_trait]
impl Dialer for VoterDialer {
    async fn wanted(&self) {
        while self.reads_its_own() {
            tokio::time::sleep_until(ringrift_tick::next(LOOK_AGAIN)).await;
        }
    }

    fn still_wanted(&self) -> bool {
        !self.reads_its_own()
    }

    async fn open(&self, avoid: &BTreeSet<NodeId>) -> Result<(NodeId, BoxedStream), String> {
        let mut trouble = "the hosts file names no voter".to_owned();
        for voter in self.candidates(avoid) {
            match self.links.open(&voter, Protocol::Watch).await {
                Ok(stream) => return Ok((voter, Box::new(stream))),
                Err(error) => trouble = error.to_string(),
            }
        }
        Err(trouble)
    }
}
