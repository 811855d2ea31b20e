use std::collections::BTreeMap;

use ringrift_blob::{Blob, Digest, ModelName};
use serde::{Deserialize, Serialize};

use crate::{Identity, cache::DigestCache};

/// How many superseded versions of a name are remembered; the bytes of fewer are kept.
const MAX_VERSIONS: usize = 64;

/// How many names that were taken away are remembered.
const MAX_GONE: usize = 256;

/// What the store remembers about names. Without it nothing is lost but history: names are learnt from the files again.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) names: BTreeMap<ModelName, Named>,
    pub(crate) digests: DigestCache,
    /// Names that were taken away.
    #[serde(default)]
    pub(crate) gone: BTreeMap<ModelName, Gone>,
}

/// A name that the store published, or is about to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Named {
    /// What it shall be.
    pub(crate) sha256: Digest,
    /// The file that was verified to be that.
    pub(crate) file: Option<Identity>,
    /// What it was before, the newest first.
    pub(crate) before: Vec<Version>,
    /// The decision that it was published for; see [`crate::Published::generation`].
    #[serde(default)]
    pub(crate) generation: u64,
}

/// What is remembered of a name that was taken away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// The decision that took it away.
    pub(crate) generation: u64,
    /// What it was, the newest first.
    pub(crate) before: Vec<Version>,
}

/// What a name stood for until some time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) sha256: Digest,
    /// Milliseconds since 1970.
    pub(crate) until_ms: u64,
}

impl Index {
    /// The entry of a name that is about to be published; a new one knows what the name was before it was taken away.
    pub(crate) fn named(&mut self, name: &ModelName, sha256: Digest) -> &mut Named {
        let gone = &mut self.gone;
        self.names.entry(name.clone()).or_insert_with(|| {
            let Gone { generation, before } = gone.remove(name).unwrap_or(Gone { generation: 0, before: Vec::new() });
            Named { sha256, file: None, before, generation }
        })
    }

    /// Takes a name away.
    pub(crate) fn forget(&mut self, name: &ModelName, generation: u64, now_ms: u64) {
        let before = self.names.remove(name).map(|mut named| {
            named.remember(named.sha256, now_ms);
            named.before
        });
        let before = before.or_else(|| self.gone.remove(name).map(|gone| gone.before)).unwrap_or_default();
        self.gone.insert(name.clone(), Gone { generation, before });
        while self.gone.len() > MAX_GONE {
            let oldest = self.gone.iter().min_by_key(|(_, gone)| gone.generation).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            self.gone.remove(&oldest);
        }
    }
}

impl Named {
    /// Makes it stand for other bytes.
    pub(crate) fn turn_to(&mut self, sha256: Digest, now_ms: u64) {
        if self.sha256 != sha256 {
            let old = std::mem::replace(&mut self.sha256, sha256);
            self.remember(old, now_ms);
        }
        self.before.retain(|version| version.sha256 != sha256);
        self.file = None;
    }

    /// Keeps bytes that were under the name as an old version.
    pub(crate) fn remember(&mut self, sha256: Digest, now_ms: u64) {
        self.before.retain(|version| version.sha256 != sha256);
        self.before.insert(0, Version { sha256, until_ms: now_ms });
        self.before.truncate(MAX_VERSIONS);
    }
}

/// What is kept beside an object: its chunks, and in which state of the file it was verified.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) blob: Blob,
    pub(crate) verified: Option<(Identity, u64)>,
}
