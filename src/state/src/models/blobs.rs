//! Whose chunk digests are kept?

use std::collections::BTreeSet;

use ringrift_blob::{Blob, Digest, ModelName};

use crate::{ClusterState, ModelRecord};

/// How many chunk digests are kept in all: 512 KiB of them, for 4 GiB of models in chunks of 256 KiB. A snapshot must stay small
/// enough to be restored by one command (3 MiB).
pub const MAX_CHUNKS: usize = 16 << 10;

impl ClusterState {
    /// Why these versions cannot all be current besides what is, if they cannot.
    pub(super) fn too_many<'a>(&self, new: impl Iterator<Item = (&'a ModelName, &'a Blob)>) -> Option<String> {
        let mut names: BTreeSet<&ModelName> = self.models.keys().collect();
        let mut replaced = BTreeSet::new();
        let mut counted = BTreeSet::new();
        let mut chunks = 0;
        for (name, blob) in new {
            names.insert(name);
            replaced.insert(name);
            if counted.insert(blob.sha256) {
                chunks += blob.chunks.len();
            }
        }
        for (_, record) in self.models.iter().filter(|(name, _)| !replaced.contains(name)) {
            if counted.insert(record.current.sha256) {
                chunks += self.chunks_of(&record.current.sha256);
            }
        }
        if names.len() > ModelRecord::MAX {
            return Some(format!("{} models would be promoted; at most {} are", names.len(), ModelRecord::MAX));
        }
        (chunks > MAX_CHUNKS).then(|| {
            format!(
                "the models together would have {chunks} chunks; at most {MAX_CHUNKS} are agreed on, 4 GiB of models"
            )
        })
    }

    /// Drops what no version needs: kept are the current ones, and of the earlier ones the latest, as many as fit.
    pub(super) fn prune_blobs(&mut self) {
        let mut kept: BTreeSet<Digest> = self.models.values().map(|record| record.current.sha256).collect();
        let mut chunks: usize = kept.iter().map(|sha256| self.chunks_of(sha256)).sum();
        let mut earlier: Vec<(u64, Digest)> = self
            .models
            .values()
            .flat_map(|record| record.earlier().take(ModelRecord::KEPT_VERSIONS))
            .map(|promotion| (promotion.generation, promotion.sha256))
            .collect();
        earlier.sort_unstable_by(|one, other| other.cmp(one));
        for (_, sha256) in earlier {
            let more = self.chunks_of(&sha256);
            if chunks + more <= MAX_CHUNKS && kept.insert(sha256) {
                chunks += more;
            }
        }
        self.blobs.retain(|sha256, _| kept.contains(sha256));
    }

    fn chunks_of(&self, sha256: &Digest) -> usize {
        self.blobs.get(sha256).map_or(0, |blob| blob.chunks.len())
    }
}
