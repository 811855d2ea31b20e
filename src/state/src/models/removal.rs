//! Names that are no model's any more.

use ringrift_blob::ModelName;
use serde::{Deserialize, Serialize};

use super::apply::{refused, unknown};
use super::event::short;
use crate::event::shorten;
use crate::{ClusterState, EntryMeta, ModelRemoved, Outcome, Standing};

/// A name was taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Log index of the entry that did it. What a node published for an earlier entry goes; what came later stays.
    pub generation: u64,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub at_ms: u64,
}

impl Removal {
    /// How many are remembered. A node that was off while more names than that were taken away keeps the files of the oldest.
    pub const MAX: usize = 128;
}

impl ClusterState {
    /// Log index of the entry that last decided what is under a name: its promotion or its removal; 0 while nothing was.
    pub fn generation_of(&self, name: &ModelName) -> u64 {
        let current = self.models.get(name).map(|record| record.current.generation);
        current.or_else(|| self.removed.get(name).map(|removal| removal.generation)).unwrap_or(0)
    }

    pub(crate) fn remove_model(&mut self, entry: EntryMeta, name: &ModelName, by: &str, at_ms: u64) -> Outcome {
        let Some(record) = self.models.remove(name) else { return refused(unknown(name)) };
        let by = shorten(by.to_owned(), Standing::MAX_TEXT);
        let event = ModelRemoved::event(name, &record.current.sha256, &by, at_ms);
        self.removed.insert(name.clone(), Removal { generation: entry.index, by, at_ms });
        while self.removed.len() > Removal::MAX {
            let oldest = self.removed.iter().min_by_key(|(_, removal)| removal.generation);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else { break };
            self.removed.remove(&oldest);
        }
        self.prune_blobs();
        self.record(event);
        Outcome::Done
    }

    /// Why bytes that were made over an earlier version are not promoted.
    pub(super) fn overtaken(&self, name: &ModelName) -> String {
        match (self.models.get(name), self.removed.get(name)) {
            (Some(record), _) => {
                format!("{name} became {} since that file's forerunner", short(&record.current.sha256))
            }
            (None, Some(_)) => format!("{name} was removed since that file's forerunner"),
            (None, None) => format!("nothing is agreed on {name}, which that file was to replace"),
        }
    }
}
