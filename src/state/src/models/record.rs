use std::collections::VecDeque;

use ringrift_blob::Digest;
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::{Distribution, Elo};

/// Some bytes became the model of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    /// SHA-256 of the bytes.
    pub sha256: Digest,
    /// How many bytes.
    pub size: u64,
    /// Log index of the entry that did it: a later promotion has a higher one.
    pub generation: u64,
    /// Its rating, if somebody measured it.
    #[serde(default)]
    pub elo: Option<Elo>,
    /// Who asked for it.
    #[serde(default)]
    pub by: String,
    /// The node that had the bytes first.
    pub source: NodeId,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub at_ms: u64,
}

/// What is agreed on the model of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRecord {
    /// The version that every node shall have.
    pub current: Promotion,
    /// How far it got.
    pub distribution: Distribution,
    /// What was current before, oldest first.
    #[serde(default)]
    pub history: VecDeque<Promotion>,
}

impl ModelRecord {
    /// How many names there may be: ten times those of a full set of boards and players.
    pub const MAX: usize = 128;
    /// How many earlier promotions are remembered for each.
    pub const MAX_HISTORY: usize = 16;
    /// Of how many earlier versions the chunk digests are kept, so that a rollback to them needs no file.
    pub const KEPT_VERSIONS: usize = 2;

    /// Earlier versions with other bytes than the current one, the latest first, each once.
    pub fn earlier(&self) -> impl Iterator<Item = &Promotion> {
        let latest = |from: usize, sha256: &Digest| self.history.iter().skip(from + 1).any(|p| p.sha256 == *sha256);
        self.history
            .iter()
            .enumerate()
            .rev()
            .filter(move |(at, promotion)| promotion.sha256 != self.current.sha256 && !latest(*at, &promotion.sha256))
            .map(|(_, promotion)| promotion)
    }

    /// The latest promotion of these bytes under this name, the current one included.
    pub fn promotion_of(&self, sha256: &Digest) -> Option<&Promotion> {
        std::iter::once(&self.current).chain(self.history.iter().rev()).find(|promotion| promotion.sha256 == *sha256)
    }

    /// Makes another promotion the current one.
    pub(crate) fn supersede(&mut self, promotion: Promotion) {
        let before = std::mem::replace(&mut self.current, promotion);
        // The same bytes promoted again are not another version.
        if before.sha256 != self.current.sha256 {
            self.history.push_back(before);
        }
        self.bound();
    }

    /// Drops what is too much. A record that was read from a file may hold anything.
    pub(crate) fn bound(&mut self) {
        while self.history.len() > Self::MAX_HISTORY {
            self.history.pop_front();
        }
    }
}
