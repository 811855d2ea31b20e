use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{ClusterState, Command, EntryMeta, Outcome};

/// The agreed state and the place in the log up to which it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Agreed {
    /// Index of the last applied entry; 0 before the first.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// Which cluster this is; made once at formation and again by a recovery from a lost majority. Empty before the first entry.
    pub cluster_id: String,
    /// The state after that entry.
    pub state: ClusterState,
}

/// What a reader of the agreed state is sent, in log order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// Begin anew from here.
    Snapshot(Arc<Agreed>),
    /// The next committed command.
    Entry {
        /// Where it stands in the log.
        meta: EntryMeta,
        /// What to apply.
        command: Command,
    },
    /// A log entry that carries no command (a new leader's first entry, a voter change): only the index moves on.
    Blank(EntryMeta),
}

/// An entry does not follow the last one that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("entry {found} does not follow entry {applied}, the last one applied")]
pub struct Gap {
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index of the entry that came.
    pub found: u64,
}

impl Agreed {
    /// Applies a committed command that must be the next one.
    pub fn apply(&mut self, meta: EntryMeta, command: &Command) -> Result<Outcome, Gap> {
        self.advance(meta)?;
        let outcome = self.state.apply(meta, command);
        if !self.state.cluster_id.is_empty() && self.cluster_id != self.state.cluster_id {
            self.cluster_id.clone_from(&self.state.cluster_id);
        }
        Ok(outcome)
    }

    /// Moves on by an entry without a command, which must be the next one.
    pub fn advance(&mut self, meta: EntryMeta) -> Result<(), Gap> {
        if self.index.checked_add(1) != Some(meta.index) {
            return Err(Gap { applied: self.index, found: meta.index });
        }
        self.index = meta.index;
        self.term = meta.term;
        Ok(())
    }
}
