use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::event::shorten;
use crate::{EntryMeta, Standing};

/// A voter list that was in force, and from when on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct VoterRevision {
    /// The voters.
    pub voters: BTreeSet<NodeId>,
    /// SHA-256 (hex) of the hosts file that named them; empty when unknown.
    pub revision: String,
    /// Who asked for them.
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; 0 when unknown.
    pub at_ms: u64,
    /// Log index of the entry that wrote this down.
    pub index: u64,
}

impl VoterRevision {
    pub(crate) fn new(voters: &BTreeSet<NodeId>, revision: &str, by: &str, at_ms: u64, entry: EntryMeta) -> Self {
        Self {
            voters: voters.clone(),
            revision: shorten(revision.to_owned(), 64),
            by: shorten(by.to_owned(), Standing::MAX_TEXT),
            at_ms,
            index: entry.index,
        }
    }
}

/// The voter lists that were in force, oldest first. It tells a hosts file that is new from a copy that was left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct VoterHistory {
    revisions: VecDeque<Arc<VoterRevision>>,
}

impl VoterHistory {
    /// How many lists are remembered.
    pub const MAX: usize = 64;

    /// The list in force as far as the history knows. Raft's membership decides; a leader that finds another list there
    /// has found a change whose leader died before it wrote it down, and proposes [`crate::Command::AdoptVoters`].
    pub fn current(&self) -> Option<&VoterRevision> {
        self.revisions.back().map(|revision| &**revision)
    }

    /// All remembered lists, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &VoterRevision> + ExactSizeIterator {
        self.revisions.iter().map(|revision| &**revision)
    }

    /// How many lists are remembered now.
    pub fn len(&self) -> usize {
        self.revisions.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.revisions.is_empty()
    }

    /// The revision that put an end to this list, when the list was in force once and another one came after it.
    pub fn superseded_by(&self, voters: &BTreeSet<NodeId>) -> Option<&VoterRevision> {
        let last = self.revisions.iter().rposition(|revision| revision.voters == *voters)?;
        self.revisions.get(last + 1).map(|revision| &**revision)
    }

    pub(crate) fn push(&mut self, revision: VoterRevision) {
        while self.revisions.len() >= Self::MAX {
            self.revisions.pop_front();
        }
        self.revisions.push_back(Arc::new(revision));
    }
}
