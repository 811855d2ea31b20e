//! Raft's requests to the other voters.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures::future::{Either, select};
use openraft::{
    Instant as _, OptionalSend, RaftMetrics, RaftNetworkFactory, RaftNetworkV2,
    async_runtime::watch::WatchReceiver as _,
    errors::{RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{RPCOption, RPCTypes},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use ringrift_config::NodeId;

use crate::{
    record::SnapshotHead,
    runtime::Runtime,
    transport::{Transport, TransportError},
    types::{RaftInstant, Snapshot, Types, Vote, Voter},
    wire::{self, CHUNK, Envelope, Piece, Request, Response},
};

/// How long one piece of a snapshot may take. A piece is 1 MiB: the slowest line that still works carries 200 KiB a second.
const PIECE_DEADLINE: Duration = Duration::from_secs(5);

/// Says which cluster this voter's messages belong to, now.
pub(crate) type ClusterName = Arc<dyn Fn() -> String + Send + Sync>;

/// Sends requests to any voter.
#[derive(Clone)]
pub(crate) struct Links {
    pub(crate) node: NodeId,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) cluster: ClusterName,
    /// Whether a leader that lost its quorum must keep quiet.
    pub(crate) quiet: Arc<Quiet>,
    /// How long an append with entries may take. Raft's own limit for it is one heartbeat, which a busy disk exceeds.
    pub(crate) append_deadline: Duration,
}

/// When a leader without a quorum sends nothing.
///
/// Whoever hears of a leader elects no other one. A leader that hears no answers while its messages arrive would so keep a majority
/// from electing for ever. Raft itself withholds heartbeats then, in every second period; it goes on to send entries that it had taken
/// before, and snapshots, and those are withheld here, in the same periods.
#[derive(Default)]
pub(crate) struct Quiet(OnceLock<Watched>);

type Metrics = <<Runtime as openraft::AsyncRuntime>::Watch as openraft::rt::Watch>::Receiver<RaftMetrics<Types>>;

struct Watched {
    metrics: Metrics,
    lease: Duration,
    period: Duration,
}

impl Quiet {
    /// Begins to watch over a voter, whose metrics these are.
    pub(crate) fn watch(&self, metrics: Metrics, lease: Duration, period: Duration) {
        // Called once.
        let _ = self.0.set(Watched { metrics, lease, period });
    }

    fn now(&self) -> bool {
        let Some(Watched { metrics, lease, period }) = self.0.get() else { return false };
        let acked = {
            let metrics = metrics.borrow_watched();
            let alone = metrics.membership_config.voter_ids().nth(1).is_none();
            metrics.last_quorum_acked.filter(|_| !alone)
        };
        let age = acked.map(|at| <RaftInstant as openraft::Instant>::now().saturating_duration_since(*at));
        let over = age.and_then(|age| age.checked_sub(*lease));
        over.is_some_and(|over| (over.as_millis() / period.as_millis()).is_multiple_of(2))
    }
}

impl Links {
    /// Asks, and returns the answer.
    pub(crate) async fn ask(
        &self,
        to: &NodeId,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, TransportError> {
        let envelope = Envelope { from: self.node.clone(), to: to.clone(), cluster: (self.cluster)(), request };
        let bytes = wire::pack(&envelope).map_err(TransportError::Unreachable)?;
        let answer = tokio::time::timeout(deadline, self.transport.call(to, bytes, deadline));
        let answer = answer.await.map_err(|_| TransportError::Timeout)??;
        wire::unpack(&answer).map_err(TransportError::Unreachable)
    }
}

impl RaftNetworkFactory<Types> for Links {
    type Network = Peer;

    async fn new_client(&mut self, target: Voter, _node: &()) -> Peer {
        Peer { to: target.0, links: self.clone() }
    }
}

/// Raft's line to one voter.
pub(crate) struct Peer {
    to: NodeId,
    links: Links,
}

impl Peer {
    async fn ask(&self, action: RPCTypes, request: Request, deadline: Duration) -> Result<Response, RPCError<Types>> {
        self.links.ask(&self.to, request, deadline).await.map_err(|error| match error {
            TransportError::Timeout => RPCError::Timeout(Timeout {
                action,
                id: Voter(self.links.node.clone()),
                target: Voter(self.to.clone()),
                timeout: deadline,
            }),
            TransportError::Unreachable(reason) => RPCError::Unreachable(Unreachable::from_string(reason)),
        })
    }

    /// An error while this voter must keep quiet.
    fn speaks(&self) -> Result<(), RPCError<Types>> {
        if self.links.quiet.now() {
            let why = "a leader without a quorum keeps quiet, so that the others can elect another one";
            return Err(RPCError::Unreachable(Unreachable::from_string(why)));
        }
        Ok(())
    }

    /// The other side answered another question.
    fn confused(&self) -> RPCError<Types> {
        RPCError::Unreachable(Unreachable::from_string(format!("{} answered something else", self.to)))
    }

    async fn ballot(&self, request: Request, option: &RPCOption) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let answer = self.ask(RPCTypes::Vote, request, option.hard_ttl()).await?;
        wire::vote_response(answer).ok_or_else(|| self.confused())
    }

    async fn send_pieces(&self, vote: &Vote, snapshot: &Snapshot) -> Result<SnapshotResponse<Types>, RPCError<Types>> {
        let head = SnapshotHead::from(&snapshot.meta);
        let size = snapshot.snapshot.len();
        let mut offset = 0;
        loop {
            self.speaks()?;
            let end = (offset + CHUNK).min(size);
            let piece = Piece {
                vote: vote.into(),
                head: head.clone(),
                offset: offset as u64,
                size: size as u64,
                data: snapshot.snapshot.slice(offset..end),
            };
            let answer = self.ask(RPCTypes::InstallSnapshot, Request::Snapshot(piece), PIECE_DEADLINE).await?;
            let Response::Snapshot { vote: theirs } = answer else { return Err(self.confused()) };
            let theirs = Vote::from(theirs);
            if end == size || theirs.leader_id.term > vote.leader_id.term {
                return Ok(SnapshotResponse::new(theirs));
            }
            offset = end;
        }
    }
}

impl RaftNetworkV2<Types> for Peer {
    type SnapshotData = bytes::Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        if !rpc.entries.is_empty() {
            self.speaks()?;
        }
        let deadline = option.hard_ttl().max(self.links.append_deadline);
        match self.ask(RPCTypes::AppendEntries, Request::Append((&rpc).into()), deadline).await? {
            Response::Append(appended) => Ok(appended.into()),
            _ => Err(self.confused()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(Request::Vote((&rpc).into()), &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(Request::PreVote((&rpc).into()), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        match select(std::pin::pin!(self.send_pieces(&vote, &snapshot)), std::pin::pin!(cancel)).await {
            Either::Left((sent, _)) => Ok(sent?),
            Either::Right((closed, _)) => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let request = Request::Transfer {
            from_leader: rpc.from_leader().into(),
            to: rpc.to_node_id().0.clone(),
            last: rpc.last_log_id().map(|id| (*id).into()),
        };
        match self.ask(RPCTypes::TransferLeader, request, option.hard_ttl()).await? {
            Response::Transfer { accepted: true } => Ok(Ok(())),
            Response::Transfer { accepted: false } => {
                Ok(Err(TransferLeaderError::LogNotFlushed { expected: rpc.last_log_id().copied(), actual: None }))
            }
            _ => Err(self.confused()),
        }
    }
}
