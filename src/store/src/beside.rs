//! Names that are taken away, and files of others that must make room for the agreed one. Nothing of them is destroyed.

use std::path::PathBuf;

use ringrift_blob::{Digest, ModelName};

use crate::{
    Identity,
    error::{Result, StoreError},
    identity::is_regular,
    publish::{ASIDE, sidecar, temporary},
    store::Store,
};

impl Store {
    /// The decision that a name was last published for or taken away by; 0 for none.
    pub fn generation(&self, name: &ModelName) -> u64 {
        let state = self.0.state();
        let named = state.index.names.get(name).map(|named| named.generation);
        named.or_else(|| state.index.gone.get(name).map(|gone| gone.generation)).unwrap_or(0)
    }

    /// The file under a name where programs look for models, whoever put it there.
    pub fn file(&self, name: &ModelName) -> Option<Identity> {
        let stat = self.0.models.stat(name.as_str()).ok().flatten()?;
        is_regular(&stat).then(|| Identity::from(&stat))
    }

    /// Takes a name away by the decision of this number: its link, its sidecar, its file. What the store published stays in it as
    /// an old version; a file of somebody else is moved to the path that is returned.
    ///
    /// # Errors
    ///
    /// If the disk fails. What was not done then is done the next time.
    pub fn unpublish(&self, name: &ModelName, generation: u64) -> Result<Option<PathBuf>> {
        let _one = self.0.changing();
        let inner = &self.0;
        let folder = &inner.models;
        let path = folder.join(name.as_str());
        // Link and sidecar first, and for certain: neither must be left without its file, power cut or not.
        if let Some(link) = name.best_link().filter(|link| folder.read_link(link).as_deref() == Some(name.as_str())) {
            folder.unlink(&link).map_err(StoreError::io("remove", folder.join(&link)))?;
        }
        let sidecar = sidecar(name);
        folder.unlink(&sidecar).map_err(StoreError::io("remove", folder.join(&sidecar)))?;
        folder.sync().map_err(StoreError::io("sync", folder.path()))?;
        let there = folder.stat(name.as_str()).map_err(StoreError::io("look at", &path))?;
        // A folder or a link is nobody's model.
        let there = there.is_some_and(|stat| is_regular(&stat));
        let mut aside = None;
        if there && self.is_intact(name) && self.is_stored(name) {
            folder.unlink(name.as_str()).map_err(StoreError::io("remove", &path))?;
        } else if there {
            let to = self.name_beside(name);
            folder.rename(name.as_str(), folder, &to).map_err(StoreError::io("move aside", &path))?;
            aside = Some(folder.join(&to));
        }
        folder.sync().map_err(StoreError::io("sync", folder.path()))?;
        {
            let mut state = inner.state();
            state.index.forget(name, generation, inner.now_ms());
            state.young.remove(name);
        }
        inner.save_index()?;
        Ok(aside)
    }

    /// Puts a copy of bytes of the store beside a model, where people find it and nothing removes it. Its path.
    ///
    /// # Errors
    ///
    /// If the bytes are not here, or do not fit.
    pub fn keep_beside(&self, name: &ModelName, sha256: &Digest) -> Result<PathBuf> {
        let _one = self.0.changing();
        self.noting_space(self.copy_beside(name, sha256))
    }

    fn copy_beside(&self, name: &ModelName, sha256: &Digest) -> Result<PathBuf> {
        let object = self.fetch(sha256)?;
        self.check_room(0, object.size())?;
        let folder = &self.0.models;
        let to = self.name_beside(name);
        let fresh = temporary(&to);
        let copied = self.copy_out(&fresh, object.mapping(), sha256);
        if copied.is_err() {
            // What stays is removed at the next start.
            let _ = folder.unlink(&fresh);
        }
        copied?;
        let path = folder.join(&to);
        folder.rename(&fresh, folder, &to).and_then(|()| folder.sync()).map_err(StoreError::io("rename to", &path))?;
        Ok(path)
    }

    /// Whether the bytes that were published under a name are in the store.
    fn is_stored(&self, name: &ModelName) -> bool {
        let state = self.0.state();
        state.index.names.get(name).is_some_and(|named| state.entries.contains_key(&named.sha256))
    }

    fn name_beside(&self, name: &ModelName) -> String {
        let mut at_ms = self.0.now_ms();
        // Two within one millisecond, or a clock that was set back: neither takes the other's place.
        loop {
            let to = format!("{name}.{at_ms}{ASIDE}");
            if !matches!(self.0.models.stat(&to), Ok(Some(_))) {
                return to;
            }
            at_ms += 1;
        }
    }
}
