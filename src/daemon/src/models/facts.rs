use ringrift_blob::{Digest, ModelName};
use ringrift_state::{HeldState, ModelRecord};
use serde::{Deserialize, Serialize};

/// What a node tells the others about its models, carried by gossip.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ModelFacts {
    /// Free bytes where it stores models.
    pub(crate) free_bytes: Option<u64>,
    /// Why it has no part in models at all; empty if it has.
    pub(crate) trouble: String,
    /// Every promoted model, by name.
    pub(crate) files: Vec<ModelFact>,
    /// Verified bytes that are no current model.
    pub(crate) kept: Vec<KeptFact>,
}

/// How one promoted model is on a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelFact {
    pub(crate) name: ModelName,
    /// The version that it shall be, as far as the node knows.
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) state: ModelState,
    /// Bytes that are there and verified.
    pub(crate) have: u64,
    /// How fast they come, and from how many nodes.
    #[serde(default)]
    pub(crate) bytes_per_second: u64,
    #[serde(default)]
    pub(crate) sources: u32,
    /// When all bytes were last hashed, milliseconds since the epoch by the node's clock; 0 if they never were.
    #[serde(default)]
    pub(crate) verified_at_ms: u64,
    /// The distribution for which it was last verified.
    #[serde(default)]
    pub(crate) answered: u64,
    /// What is wrong, for people.
    #[serde(default)]
    pub(crate) trouble: String,
}

/// How a model is on a node, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ModelState {
    /// Whole, verified, and under its name.
    Verified,
    /// Bytes are missing and come.
    Fetching,
    /// Other bytes are under its name; it is whole, or about to be.
    Outdated,
    /// The disk is too full for it.
    NoSpace,
    /// It cannot be had without somebody's help.
    Stuck,
}

/// Bytes that are no current model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptFact {
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    pub(crate) verified_at_ms: u64,
}

impl ModelFacts {
    /// What they say about the version of a model that shall be everywhere, as the verdict on its distribution needs it.
    pub(crate) fn held(&self, name: &ModelName, record: &ModelRecord) -> Option<HeldState> {
        if !self.trouble.is_empty() {
            return Some(HeldState::Stuck { reason: self.trouble.clone() });
        }
        let file = self.files.iter().find(|file| file.name == *name && file.sha256 == record.current.sha256)?;
        Some(match file.state {
            ModelState::Verified => {
                // Asked to hash again, a node that has not done so yet only believes that it has the bytes.
                let heard = !record.distribution.force || file.answered >= record.distribution.generation;
                if heard { HeldState::Verified } else { HeldState::Fetching { have: 0, of: file.size } }
            }
            ModelState::Fetching | ModelState::Outdated => HeldState::Fetching { have: file.have, of: file.size },
            ModelState::NoSpace | ModelState::Stuck => HeldState::Stuck { reason: file.trouble.clone() },
        })
    }
}
