use std::{fs::File, io, sync::Arc};

use ringrift_blob::{Digest, ModelName};
use ringrift_state::envelope;

use crate::{
    Identity,
    config::StoreConfig,
    disk::Folder,
    error::{Result, StoreError},
    event::StoreEvent,
    identity::is_regular,
    index::{Facts, Index},
    store::{Entry, Inner, Seams, Store},
};

/// Names read from one folder at most.
pub(crate) const MAX_NAMES: usize = 65_536;
/// The largest of the store's small files: the digests of the largest blob's chunks.
pub(crate) const MAX_SMALL: u64 = 160 << 20;

impl Store {
    /// Opens the store, and makes its folders first if need be. What a crash left half done is finished or removed. Reads no object;
    /// reads a published file only when it is not in the state in which it was verified.
    ///
    /// # Errors
    ///
    /// If another process has it open, or the system refuses.
    pub fn open(config: StoreConfig) -> Result<Self> {
        Self::open_with(config, Seams::default())
    }

    /// As [`open`](Self::open), in a world of the caller's making.
    pub fn open_with(config: StoreConfig, seams: Seams) -> Result<Self> {
        let store = Self(Arc::new(Inner::new(config, seams)?));
        store.0.sweep()?;
        store.0.load()?;
        store.sweep_partials()?;
        store.recover_names()?;
        Ok(store)
    }
}

impl Inner {
    /// Removes what only the process that made it could use.
    fn sweep(&self) -> Result<()> {
        for name in self.tmp.list(MAX_NAMES).map_err(StoreError::io("list", self.tmp.path()))? {
            self.tmp.unlink(&name).map_err(StoreError::io("remove", self.tmp.join(&name)))?;
        }
        for name in self.models.list(MAX_NAMES).map_err(StoreError::io("list", self.models.path()))? {
            if crate::publish::is_temporary(&name) {
                self.models.unlink(&name).map_err(StoreError::io("remove", self.models.join(&name)))?;
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<()> {
        let index: Option<Index> = self.load_file(&self.root, "index")?;
        let mut entries = std::collections::HashMap::new();
        for name in self.objects.list(MAX_NAMES).map_err(StoreError::io("list", self.objects.path()))? {
            let Ok(sha256) = name.parse::<Digest>() else { continue };
            let path = self.objects.join(&name);
            let Some(stat) = self.objects.stat(&name).map_err(StoreError::io("look at", &path))? else { continue };
            if !is_regular(&stat) {
                continue;
            }
            if stat.st_mode & 0o222 != 0 {
                // A crash came before it; the store works without it.
                let _ = self.objects.chmod(&name, 0o444);
            }
            let identity = Identity::from(&stat);
            let facts: Option<Facts> = self.load_file(&self.facts, &name)?;
            let facts = facts.filter(|facts| {
                facts.blob.sha256 == sha256 && facts.blob.size == identity.size() && facts.blob.check().is_ok()
            });
            let verified = facts.as_ref().and_then(|facts| facts.verified).filter(|(seen, _)| *seen == identity);
            let verified_at_ms = verified.map(|(_, at_ms)| at_ms);
            let whole = verified_at_ms.is_some();
            entries.insert(sha256, Entry { size: identity.size(), facts, open: None, verified_at_ms, whole });
        }
        let mut state = self.state();
        state.entries = entries;
        state.index = index.unwrap_or_default();
        Ok(())
    }

    /// One of the store's own small files. A damaged one is as good as none: each can be made again from the bytes.
    pub(crate) fn load_file<T: serde::de::DeserializeOwned>(&self, folder: &Folder, name: &str) -> Result<Option<T>> {
        let path = folder.join(name);
        let bytes = folder.read(name, MAX_SMALL).map_err(StoreError::io("read", &path))?;
        match bytes.map(|bytes| envelope::open(&bytes)).transpose() {
            Ok(value) => Ok(value),
            Err(damage) => {
                self.tell(StoreEvent::Forgotten { path, why: damage.to_string() });
                Ok(None)
            }
        }
    }

    /// Writes one of the store's own small files.
    pub(crate) fn save_file<T: serde::Serialize>(folder: &Folder, name: &str, value: &T) -> Result<()> {
        let path = folder.join(name);
        let bytes = envelope::seal(value).map_err(io::Error::other).map_err(StoreError::io("encode", &path))?;
        let fresh = format!("{name}.new");
        folder.replace(name, &fresh, &bytes, 0o600).map_err(StoreError::io("write", path))
    }

    /// Writes down what is remembered about names. Callers hold `changing`.
    pub(crate) fn save_index(&self) -> Result<()> {
        let bytes = envelope::seal(&self.state().index)
            .map_err(io::Error::other)
            .map_err(StoreError::io("encode", self.root.join("index")))?;
        self.root
            .replace("index", "index.new", &bytes, 0o600)
            .and_then(|()| self.root.sync())
            .map_err(StoreError::io("write", self.root.join("index")))
    }
}

impl Store {
    /// Removes what is left of fetches that are finished, or whose bytes are gone.
    fn sweep_partials(&self) -> Result<()> {
        let folder = &self.0.partial;
        for name in folder.list(MAX_NAMES).map_err(StoreError::io("list", folder.path()))? {
            let Some(sha256) = name.split('.').next().and_then(|hex| hex.parse::<Digest>().ok()) else {
                folder.unlink(&name).map_err(StoreError::io("remove", folder.join(&name)))?;
                continue;
            };
            let data = folder.stat(&sha256.to_string()).map_err(StoreError::io("look at", folder.join(&name)))?;
            if data.is_none() || self.0.state().entries.contains_key(&sha256) {
                self.remove_partial(&sha256)?;
            }
        }
        Ok(())
    }

    /// Finishes the publications that a crash interrupted.
    fn recover_names(&self) -> Result<()> {
        let names: Vec<(ModelName, Digest, Option<Identity>)> = {
            let state = self.0.state();
            state.index.names.iter().map(|(name, named)| (name.clone(), named.sha256, named.file)).collect()
        };
        for (name, wanted, verified) in names {
            let _one = self.0.changing();
            let file = match self.0.models.open_read(name.as_str()) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                // A link or a folder: somebody else's.
                Err(_) => continue,
            };
            match file {
                Some(file) => self.recover_name(&name, wanted, verified, &file)?,
                None if verified.is_none() => self.finish_publication(&name, &wanted),
                // It was there, and somebody removed it: `tend` tells.
                None => {}
            }
        }
        Ok(())
    }

    fn recover_name(&self, name: &ModelName, wanted: Digest, verified: Option<Identity>, file: &File) -> Result<()> {
        let identity = Identity::of(file).map_err(StoreError::io("look at", self.0.models.join(name.as_str())))?;
        if verified == Some(identity) {
            return Ok(());
        }
        let Ok(found) = self.digest_of(file, identity) else { return Ok(()) };
        let before = {
            let state = self.0.state();
            let named = state.index.names.get(name);
            named.is_some_and(|named| named.before.iter().any(|version| version.sha256 == found))
        };
        if found == wanted {
            self.0.state().young.insert(name.clone(), identity);
            self.dress(name, &wanted)
        } else if before && verified.is_none() {
            // The crash came before the rename.
            self.finish_publication(name, &wanted);
            Ok(())
        } else {
            Ok(())
        }
    }

    /// A full disk or a damaged object must not keep the rest from starting: the name stays as it is until it is published again.
    fn finish_publication(&self, name: &ModelName, wanted: &Digest) {
        let _ = self.noting_space(self.publish_now(name, wanted, None));
    }

    /// The digest of an open file in this state, remembered or computed.
    pub(crate) fn digest_of(&self, file: &File, identity: Identity) -> io::Result<Digest> {
        if let Some(digest) = self.0.state().index.digests.get(&identity) {
            return Ok(digest);
        }
        let read_from = self.0.now();
        let digest = crate::hash::digest(file, identity.size())?;
        if Identity::of(file)? != identity {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it was changed while it was read"));
        }
        self.0.state().index.digests.put(identity, digest, read_from);
        Ok(digest)
    }
}
