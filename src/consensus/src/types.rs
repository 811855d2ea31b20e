//! Raft's type parameters, filled in.

use std::{fmt, sync::Arc};

use ringrift_config::NodeId;
use ringrift_state::{Command, Outcome};
use serde::{Deserialize, Serialize};

openraft::declare_raft_types!(
    /// Raft over our node ids and commands. In the standard mode a log entry is known by term and index alone, so that the
    /// first entry is the same one whichever founding voter writes it.
    pub(crate) Types:
        D = Proposal,
        R = Applied,
        NodeId = Voter,
        Node = (),
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, Voter>,
        AsyncRuntime = crate::runtime::Runtime,
);

pub(crate) type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, Voter>;
pub(crate) type Term = <LeaderId as openraft::vote::RaftLeaderId>::Committed;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type LogId = openraft::LogId<Term>;
pub(crate) type EntryPayload = openraft::EntryPayload<Proposal, Voter, ()>;
pub(crate) type Entry = openraft::Entry<Term, EntryPayload>;
pub(crate) type Membership = openraft::Membership<Voter, ()>;
pub(crate) type StoredMembership = openraft::StoredMembership<Term, Voter, ()>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<Term, Voter, ()>;
pub(crate) type Snapshot = openraft::Snapshot<Term, Voter, (), bytes::Bytes>;
pub(crate) type Raft = openraft::Raft<Types, crate::machine::Machine>;

pub(crate) type RaftInstant = <<Types as openraft::RaftTypeConfig>::AsyncRuntime as openraft::AsyncRuntime>::Instant;

/// A node id that Raft's traits can be implemented on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Voter(pub(crate) NodeId);

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is proposed. Shared, since the log, the replication to each voter and the state machine all hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Proposal(pub(crate) Arc<Command>);

impl fmt::Display for Proposal {
    /// The kind alone: a command may hold a megabyte.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("command")
    }
}

/// What applying an entry gave; `None` for an entry without a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied(pub(crate) Option<Outcome>);

/// The log id at `index` that a leader of `term` wrote.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(Term::from(term), index)
}

/// The term in which the entry was written.
pub(crate) fn term_of(id: &LogId) -> u64 {
    **id.committed_leader_id()
}
