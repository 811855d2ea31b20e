use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringrift_config::NodeId;
use ringrift_state::Agreed;
use ringrift_state::envelope::{Damage, FileError, load};
use serde::{Deserialize, Serialize};

/// What a follower keeps on disk for its next start.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cache {
    /// What was agreed.
    pub(crate) agreed: Arc<Agreed>,
    /// The highest term in which a leader was heard of: an older one stays refused after a restart.
    pub(crate) term: u64,
    /// Raft's membership as a voter last said.
    pub(crate) voters: BTreeSet<NodeId>,
}

/// Why a follower does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cache cannot be read.
    #[error(transparent)]
    Unreadable(FileError),
    /// The cache is not what it was.
    #[error(
        "the copy of the agreed state cannot be used: {}: {damage}. It was left as it is. The voters have the state, so {remedy}{} and \
         start again; this node then fetches it anew",
        .path.display(), .path.display()
    )]
    Damaged {
        /// The cache.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        damage: Damage,
        /// What to do, up to the path.
        remedy: &'static str,
    },
}

impl Cache {
    /// Reads the cache; an empty one when there is no file.
    pub(crate) fn load(path: &Path) -> Result<Self, StartError> {
        load(path).map(Option::unwrap_or_default).map_err(|error| match error {
            FileError::Damaged { path, damage } => {
                let remedy = match damage {
                    Damage::Newer { .. } => "start the newer program that wrote it, or remove ",
                    Damage::Foreign | Damage::Length { .. } | Damage::Checksum | Damage::Body(_) => "remove ",
                };
                StartError::Damaged { path, damage, remedy }
            }
            other => StartError::Unreadable(other),
        })
    }
}
