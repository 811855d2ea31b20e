//! Answers to the other voters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use openraft::raft::{TransferLeaderRequest, VoteRequest};
use ringrift_config::NodeId;
use tokio::time::Instant;

use crate::{
    feed::Feed,
    gate::{Admission, Gate, Names, founding_name},
    record::VoteRecord,
    store::{Standing, Store},
    types::{Raft, Snapshot, Vote, Voter, term_of},
    wire::{self, Appended, Envelope, Greeting, MAX_SNAPSHOT, Part, Piece, Request, Response},
};

/// Everything that a request may need.
pub(crate) struct Service {
    pub(crate) node: NodeId,
    pub(crate) genesis: BTreeSet<NodeId>,
    pub(crate) raft: Raft,
    pub(crate) store: Store,
    pub(crate) feed: Arc<Feed>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) heard: Heard,
    /// Tells this process from those that ran, or will run, under the same name.
    pub(crate) life: u64,
    /// The others' lives that this one met while it had no log and had promised nothing.
    pub(crate) met: Mutex<BTreeMap<NodeId, u64>>,
    /// A snapshot that is arriving. One at a time: a second sender begins anew.
    pub(crate) arriving: Mutex<Option<Arriving>>,
}

/// When a leader was last heard of, and which one.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Option<Last>>);

/// The last that was heard of any leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Last {
    pub(crate) leader: NodeId,
    pub(crate) term: u64,
    pub(crate) at: Instant,
}

impl Heard {
    fn note(&self, leader: &NodeId, term: u64) {
        let last = Last { leader: leader.clone(), term, at: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    pub(crate) fn newest(&self) -> Option<Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When this leader was last heard of in this term.
    pub(crate) fn last(&self, leader: &NodeId, term: u64) -> Option<Instant> {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.as_ref().filter(|last| last.leader == *leader && last.term == term).map(|last| last.at)
    }
}

pub(crate) struct Arriving {
    from: NodeId,
    vote: VoteRecord,
    last: Option<crate::record::LogPos>,
    data: BytesMut,
}

/// What this voter's cluster is called, as far as its log and state tell.
pub(crate) fn names(store: &Store, feed: &Feed, gate: &Gate, genesis: &BTreeSet<NodeId>) -> Names {
    let agreed = feed.agreed();
    let newest = store.mirror().name_after(agreed.index, &agreed.cluster_id).map(str::to_owned);
    let known = (!agreed.cluster_id.is_empty()).then(|| agreed.cluster_id.clone());
    let joining = || match gate.admission() {
        Admission::Joining { cluster, .. } => Some(cluster),
        _ => None,
    };
    let agreed = known.or_else(joining);
    // A hash, and asked for with every message: only as long as there is nothing better.
    let founding = agreed.is_none().then(|| match &store.mirror().standing {
        Standing::Founder { genesis } => founding_name(genesis),
        _ => founding_name(genesis),
    });
    Names { founding, newest, agreed }
}

impl Service {
    pub(crate) fn names(&self) -> Names {
        names(&self.store, &self.feed, &self.gate, &self.genesis)
    }

    /// Answers a request that really came from `from`.
    pub(crate) async fn serve(&self, from: &NodeId, request: &[u8]) -> Result<Bytes, String> {
        let envelope: Envelope = wire::unpack(request)?;
        if envelope.from != *from {
            return Err(format!("the request says that it is from {}, but {from} sent it", envelope.from));
        }
        if envelope.to != self.node {
            return Err(format!("the request is for {}, this is {}", envelope.to, self.node));
        }
        self.gate.check(&self.names(), &envelope.cluster, &envelope.request)?;
        let speaker = match &envelope.request {
            Request::Hello { .. } => None,
            Request::Append(append) => Some(&append.vote),
            Request::Vote(ballot) | Request::PreVote(ballot) => Some(&ballot.vote),
            Request::Snapshot(piece) => Some(&piece.vote),
            Request::Transfer { from_leader, .. } => Some(from_leader),
        };
        if let Some(vote) = speaker
            && vote.node != *from
        {
            return Err(format!("{from} speaks in the name of {}", vote.node));
        }
        let response = self.answer(from, envelope.request).await?;
        wire::pack(&response)
    }

    async fn answer(&self, from: &NodeId, request: Request) -> Result<Response, String> {
        match request {
            Request::Hello { .. } => Ok(Response::Hello(self.greeting().await?)),
            Request::Append(append) => {
                let (term, entries) = (append.vote.term, append.entries.len());
                let appended = self.raft.append_entries(append.into()).await.map_err(|e| e.to_string())?;
                let appended = Appended::from(appended);
                if !matches!(appended, Appended::Newer(_)) {
                    self.heard.note(from, term);
                }
                tracing::trace!(%from, term, entries, ?appended, "append");
                Ok(Response::Append(appended))
            }
            Request::Vote(ballot) => {
                let request: VoteRequest<_> = ballot.into();
                Ok(self.raft.vote(request).await.map_err(|e| e.to_string())?.into())
            }
            Request::PreVote(ballot) => {
                let request: VoteRequest<_> = ballot.into();
                Ok(self.raft.pre_vote(request).await.map_err(|e| e.to_string())?.into())
            }
            Request::Snapshot(piece) => self.take(from, piece).await,
            Request::Transfer { from_leader, to, last } => {
                let request = TransferLeaderRequest::new(from_leader.into(), Voter(to), last.map(Into::into));
                let answer = self.raft.handle_transfer_leader(request).await.map_err(|e| e.to_string())?;
                Ok(Response::Transfer { accepted: answer.is_ok() })
            }
        }
    }

    pub(crate) fn met(&self) -> MutexGuard<'_, BTreeMap<NodeId, u64>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who this voter is, and how far.
    pub(crate) async fn greeting(&self) -> Result<Greeting, String> {
        let names = self.names();
        let part = match self.gate.admission() {
            Admission::Asking if self.store.mirror().standing == Standing::Fresh => Part::Fresh,
            Admission::Joining { .. } => Part::Joining,
            Admission::Open if names.agreed.is_some() => Part::Member,
            Admission::Asking | Admission::Open => Part::Founder,
        };
        // From Raft itself and not from what it last published, and the end of the log after that: who asks relies on both
        // when it votes again.
        let (term, voters) = self
            .raft
            .with_raft_state(|state| (state.vote_ref().leader_id.term, state.membership_state.effective().clone()))
            .await
            .map_err(|e| e.to_string())?;
        let last = self.store.mirror().last();
        Ok(Greeting {
            part,
            genesis: self.genesis.clone(),
            cluster: names.sent().to_owned(),
            term,
            last: last.map(Into::into),
            voters: voters.membership().into(),
            voters_at: voters.log_id().map(Into::into),
            life: self.life,
            met: self.met().clone(),
        })
    }

    /// Keeps a piece of a snapshot; installs it when it is whole.
    async fn take(&self, from: &NodeId, piece: Piece) -> Result<Response, String> {
        if piece.size > MAX_SNAPSHOT {
            return Err(format!("a snapshot of {} bytes is not taken", piece.size));
        }
        let ours = self.raft.with_raft_state(|state| state.vote_ref().clone()).await.map_err(|e| e.to_string())?;
        if ours.leader_id.term > piece.vote.term {
            return Ok(Response::Snapshot { vote: (&ours).into() });
        }
        let whole = {
            let mut arriving = self.arriving.lock().unwrap_or_else(PoisonError::into_inner);
            if piece.offset == 0 {
                let (vote, last) = (piece.vote.clone(), piece.head.last);
                *arriving = Some(Arriving { from: from.clone(), vote, last, data: BytesMut::new() });
            }
            let fits = |a: &Arriving| {
                a.from == *from
                    && a.vote == piece.vote
                    && a.last == piece.head.last
                    && a.data.len() as u64 == piece.offset
            };
            let Some(held) = arriving.as_mut().filter(|a| fits(a)) else {
                return Err("this piece of a snapshot does not follow the last one; begin again".into());
            };
            if held.data.len() + piece.data.len() > piece.size as usize {
                return Err("the snapshot is longer than announced".into());
            }
            held.data.extend_from_slice(&piece.data);
            if held.data.len() as u64 == piece.size { arriving.take().map(|a| a.data.freeze()) } else { None }
        };
        self.heard.note(from, piece.vote.term);
        let vote = match whole {
            None => piece.vote,
            Some(data) => {
                let snapshot = Snapshot { meta: (&piece.head).into(), snapshot: data };
                let term = snapshot.meta.last_log_id.as_ref().map_or(0, term_of);
                tracing::info!(%from, term, bytes = piece.size, "installing the leader's snapshot");
                let vote: Vote = piece.vote.into();
                let installed = self.raft.install_full_snapshot(vote, snapshot).await.map_err(|e| e.to_string())?;
                (&installed.vote).into()
            }
        };
        Ok(Response::Snapshot { vote })
    }
}
