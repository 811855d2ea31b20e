//! Log entries, votes and voter sets as they lie on disk and travel between voters.
//!
//! They are written as `MessagePack` with field names, in types of our own: a field can be added later, and a new version
//! of the Raft library cannot change what an old file means.

use std::{collections::BTreeSet, sync::Arc};

use ringrift_config::NodeId;
use ringrift_state::Command;
use serde::{Deserialize, Serialize};

use crate::types::{
    Entry, EntryPayload, LogId, Membership, Proposal, SnapshotMeta, StoredMembership, Vote, Voter, log_id, term_of,
};

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LogPos {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

impl From<LogId> for LogPos {
    fn from(id: LogId) -> Self {
        Self { term: term_of(&id), index: id.index() }
    }
}

impl From<LogPos> for LogId {
    fn from(pos: LogPos) -> Self {
        log_id(pos.term, pos.index)
    }
}

/// Whom a voter supports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VoteRecord {
    pub(crate) term: u64,
    pub(crate) node: NodeId,
    /// Whether a quorum is known to support the same.
    pub(crate) committed: bool,
}

impl From<&Vote> for VoteRecord {
    fn from(vote: &Vote) -> Self {
        Self { term: vote.leader_id.term, node: vote.leader_id.voted_for.0.clone(), committed: vote.committed }
    }
}

impl From<VoteRecord> for Vote {
    fn from(record: VoteRecord) -> Self {
        let node = Voter(record.node);
        if record.committed { Vote::new_committed(record.term, node) } else { Vote::new(record.term, node) }
    }
}

/// Who votes: one set, or two while it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct VoterSets {
    pub(crate) sets: Vec<BTreeSet<NodeId>>,
    /// Who is fed without voting: voters to be.
    #[serde(default)]
    pub(crate) learners: BTreeSet<NodeId>,
}

impl From<&Membership> for VoterSets {
    fn from(membership: &Membership) -> Self {
        Self {
            sets: membership.get_joint_config().iter().map(|set| set.iter().map(|v| v.0.clone()).collect()).collect(),
            learners: membership.learner_ids().map(|v| v.0).collect(),
        }
    }
}

impl From<&VoterSets> for Membership {
    fn from(record: &VoterSets) -> Self {
        let sets = record.sets.iter().map(|set| set.iter().cloned().map(Voter).collect()).collect();
        Membership::new_with_defaults(sets, record.learners.iter().cloned().map(Voter))
    }
}

/// A log entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) payload: Payload,
}

/// What a log entry holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Payload {
    /// Nothing: a new leader's first entry.
    Blank,
    /// Who votes from here on.
    Voters(VoterSets),
    /// A command.
    Command(Arc<Command>),
}

impl From<&Entry> for Record {
    fn from(entry: &Entry) -> Self {
        let payload = match &entry.payload {
            EntryPayload::Blank => Payload::Blank,
            EntryPayload::Normal(Proposal(command)) => Payload::Command(command.clone()),
            EntryPayload::Membership(membership) => Payload::Voters(membership.into()),
        };
        Self { term: term_of(&entry.log_id), index: entry.log_id.index(), payload }
    }
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        let payload = match record.payload {
            Payload::Blank => EntryPayload::Blank,
            Payload::Command(command) => EntryPayload::Normal(Proposal(command)),
            Payload::Voters(voters) => EntryPayload::Membership((&voters).into()),
        };
        Entry { log_id: log_id(record.term, record.index), payload }
    }
}

/// What a snapshot stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotHead {
    /// The last entry in it.
    pub(crate) last: Option<LogPos>,
    /// Where the voter set was written.
    pub(crate) voters_at: Option<LogPos>,
    pub(crate) voters: VoterSets,
}

impl From<&SnapshotMeta> for SnapshotHead {
    fn from(meta: &SnapshotMeta) -> Self {
        Self {
            last: meta.last_log_id.map(Into::into),
            voters_at: meta.last_membership.log_id().map(Into::into),
            voters: meta.last_membership.membership().into(),
        }
    }
}

impl From<&SnapshotHead> for SnapshotMeta {
    fn from(head: &SnapshotHead) -> Self {
        SnapshotMeta {
            last_log_id: head.last.map(Into::into),
            last_membership: StoredMembership::new(head.voters_at.map(Into::into), (&head.voters).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<NodeId> {
        names.iter().map(|n| n.parse().unwrap()).collect()
    }

    #[test]
    fn an_entry_comes_back_as_it_was_written() {
        let payloads = [
            Payload::Blank,
            Payload::Voters(VoterSets { sets: vec![set(&["a", "b", "c"]), set(&["c", "d"])], learners: set(&["e"]) }),
            Payload::Command(Arc::new(Command::SetEligibility {
                node: "a".parse().unwrap(),
                eligibility: ringrift_state::Eligibility::Cordoned,
                by: "me".into(),
                reason: "why".into(),
                at_ms: 7,
            })),
        ];
        for payload in payloads {
            let record = Record { term: 3, index: 9, payload };
            let bytes = ringrift_state::encode(&record).unwrap();
            let entry: Entry = ringrift_state::decode::<Record>(&bytes).unwrap().into();
            assert_eq!(Record::from(&entry), record);
        }
    }

    #[test]
    fn an_unknown_field_of_a_later_version_is_read_over() {
        #[derive(Serialize)]
        struct Later {
            term: u64,
            index: u64,
            payload: &'static str,
            sealed_by: &'static str,
        }
        let bytes = ringrift_state::encode(&Later { term: 1, index: 2, payload: "blank", sealed_by: "x" }).unwrap();
        let record: Record = ringrift_state::decode(&bytes).unwrap();
        assert_eq!(record, Record { term: 1, index: 2, payload: Payload::Blank });
    }
}
