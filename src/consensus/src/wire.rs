//! What voters say to each other.
//!
//! One byte with the version of this language, then `MessagePack` with field names.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    record::{LogPos, Record, SnapshotHead, VoteRecord, VoterSets},
    types::{LogId, Types},
};

/// The language's version. A node that hears another one says so and does nothing.
pub(crate) const VERSION: u8 = 1;

/// A snapshot travels in pieces of this size.
pub(crate) const CHUNK: usize = 1 << 20;

/// A larger snapshot is not taken: far above any state.
pub(crate) const MAX_SNAPSHOT: u64 = 256 << 20;

/// A request, and between whom.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    /// The sender's cluster: its id, or what is known of it before it has one.
    pub(crate) cluster: String,
    pub(crate) request: Request,
}

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Who are you, and how far are you? The one question that is answered across clusters.
    Hello {
        genesis: BTreeSet<NodeId>,
    },
    Append(Append),
    Vote(Ballot),
    PreVote(Ballot),
    Snapshot(Piece),
    Transfer {
        from_leader: VoteRecord,
        to: NodeId,
        last: Option<LogPos>,
    },
}

/// Log entries, or none as a sign of life.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) vote: VoteRecord,
    pub(crate) prev: Option<LogPos>,
    pub(crate) entries: Vec<Record>,
    pub(crate) committed: Option<LogPos>,
}

/// A candidate, and how far its log reaches.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ballot {
    pub(crate) vote: VoteRecord,
    pub(crate) last: Option<LogPos>,
    /// Whether the leader asked for this election.
    #[serde(default)]
    pub(crate) transfer: bool,
}

/// A piece of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) vote: VoteRecord,
    pub(crate) head: SnapshotHead,
    /// Where in the snapshot this piece begins.
    pub(crate) offset: u64,
    /// The snapshot's size.
    pub(crate) size: u64,
    pub(crate) data: Bytes,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    Hello(Greeting),
    Append(Appended),
    Vote {
        vote: VoteRecord,
        granted: bool,
        last: Option<LogPos>,
    },
    /// The piece is here; the whole is installed when it was the last one.
    Snapshot {
        vote: VoteRecord,
    },
    Transfer {
        accepted: bool,
    },
}

/// What came of an append.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Appended {
    Done,
    UpTo(Option<LogPos>),
    Conflict,
    Newer(VoteRecord),
}

/// Who a voter is, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) part: Part,
    /// Whom it would found a cluster with.
    pub(crate) genesis: BTreeSet<NodeId>,
    /// Its cluster: the id, or what is known of it before it has one.
    pub(crate) cluster: String,
    pub(crate) term: u64,
    /// The end of its log.
    pub(crate) last: Option<LogPos>,
    /// The newest voter sets in its log, and where they stand.
    pub(crate) voters: VoterSets,
    pub(crate) voters_at: Option<LogPos>,
    /// Tells this process from those that ran, or will run, under the same name.
    #[serde(default)]
    pub(crate) life: u64,
    /// The others' lives that this one met while it had no log and had promised nothing.
    #[serde(default)]
    pub(crate) met: BTreeMap<NodeId, u64>,
}

/// How a voter stands to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Part {
    /// It has promised nothing.
    Fresh,
    /// It founds a cluster which is not yet known to be agreed on anything.
    Founder,
    /// It is catching up, and knows nothing for certain.
    Joining,
    /// It belongs to a cluster that has agreed on its name.
    Member,
}

/// The message's bytes.
pub(crate) fn pack<T: Serialize>(message: &T) -> Result<Bytes, String> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, message).map_err(|e| e.to_string())?;
    Ok(bytes.into())
}

/// The message in the bytes.
pub(crate) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&VERSION, body)) => {
            ringrift_state::decode(body).map_err(|e| format!("the message cannot be decoded ({e})"))
        }
        Some((other, _)) => Err(format!("the message has version {other}, this node speaks {VERSION}")),
        None => Err("the message is empty".into()),
    }
}

fn pos(id: Option<LogId>) -> Option<LogPos> {
    id.map(Into::into)
}

fn id(pos: Option<LogPos>) -> Option<LogId> {
    pos.map(Into::into)
}

impl From<&AppendEntriesRequest<Types>> for Append {
    fn from(rpc: &AppendEntriesRequest<Types>) -> Self {
        Self {
            vote: (&rpc.vote).into(),
            prev: pos(rpc.prev_log_id),
            entries: rpc.entries.iter().map(Into::into).collect(),
            committed: pos(rpc.leader_commit),
        }
    }
}

impl From<Append> for AppendEntriesRequest<Types> {
    fn from(append: Append) -> Self {
        Self {
            vote: append.vote.into(),
            prev_log_id: id(append.prev),
            entries: append.entries.into_iter().map(Into::into).collect(),
            leader_commit: id(append.committed),
        }
    }
}

impl From<AppendEntriesResponse<Types>> for Appended {
    fn from(response: AppendEntriesResponse<Types>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Done,
            AppendEntriesResponse::PartialSuccess(upto) => Self::UpTo(pos(upto)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::Newer((&vote).into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<Types> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::Done => Self::Success,
            Appended::UpTo(upto) => Self::PartialSuccess(id(upto)),
            Appended::Conflict => Self::Conflict,
            Appended::Newer(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<&VoteRequest<Types>> for Ballot {
    fn from(rpc: &VoteRequest<Types>) -> Self {
        Self { vote: (&rpc.vote).into(), last: pos(rpc.last_log_id), transfer: rpc.leadership_transfer }
    }
}

impl From<Ballot> for VoteRequest<Types> {
    fn from(ballot: Ballot) -> Self {
        let mut rpc = Self::new(ballot.vote.into(), id(ballot.last));
        rpc.leadership_transfer = ballot.transfer;
        rpc
    }
}

impl From<VoteResponse<Types>> for Response {
    fn from(response: VoteResponse<Types>) -> Self {
        Self::Vote { vote: (&response.vote).into(), granted: response.vote_granted, last: pos(response.last_log_id) }
    }
}

/// The answer to a vote request, if it is one.
pub(crate) fn vote_response(response: Response) -> Option<VoteResponse<Types>> {
    match response {
        Response::Vote { vote, granted, last } => {
            Some(VoteResponse { vote: vote.into(), vote_granted: granted, last_log_id: id(last) })
        }
        _ => None,
    }
}
