use std::io;

use ringrift_blob::{Digest, ModelName};

use crate::{
    Identity,
    error::{Result, StoreError},
    hash,
    identity::is_regular,
    index::Named,
    object::Object,
    store::{Store, is_damage},
};

const SIDECAR: &str = ".sha256";
const LINK_PREFIX: &str = "ringrift_best_";
/// What files are called that were moved out of a model's way.
pub(crate) const ASIDE: &str = ".aside";
const TEMPORARY: (&str, &str) = (".ringrift-", ".tmp");

/// A model where programs look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub name: ModelName,
    /// What it is.
    pub sha256: Digest,
    /// Whether the file there is surely the one that was published.
    pub intact: bool,
    /// The decision that it was published for, by a number of the caller's; 0 when it was published for none.
    pub generation: u64,
    /// What it was before, the newest first: bytes, and until when, in milliseconds since 1970. They may be gone.
    pub before: Vec<(Digest, u64)>,
}

impl Store {
    /// Puts a model where programs look for it: the file, its sidecar, its link. Readers see the whole old file or the whole new one.
    /// What somebody else put there is taken into the store first.
    ///
    /// # Errors
    ///
    /// If the bytes are not here, or damaged; if the disk is full; if somebody writes to what is there. Then the old file stays.
    pub fn publish(&self, name: &ModelName, sha256: &Digest) -> Result<()> {
        self.publish_as(name, sha256, None)
    }

    /// The same, and remembers for which decision: its number is on the disk before the file is.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_for(&self, name: &ModelName, sha256: &Digest, generation: u64) -> Result<()> {
        self.publish_as(name, sha256, Some(generation))
    }

    fn publish_as(&self, name: &ModelName, sha256: &Digest, generation: Option<u64>) -> Result<()> {
        if is_reserved(name) {
            return Err(StoreError::ReservedName(name.clone()));
        }
        let _one = self.0.changing();
        self.noting_space(self.publish_now(name, sha256, generation))
    }

    /// The models that are published, by name. Reads no file.
    pub fn published(&self) -> Vec<Published> {
        let names: Vec<(ModelName, Named)> =
            self.0.state().index.names.iter().map(|(name, named)| (name.clone(), named.clone())).collect();
        let published = names.into_iter().map(|(name, named)| Published {
            intact: self.is_intact(&name),
            sha256: named.sha256,
            generation: named.generation,
            before: named.before.iter().map(|version| (version.sha256, version.until_ms)).collect(),
            name,
        });
        published.collect()
    }

    /// Whether the file under the name is the one that was verified there.
    pub(crate) fn is_intact(&self, name: &ModelName) -> bool {
        let Ok(Some(stat)) = self.0.models.stat(name.as_str()) else { return false };
        let state = self.0.state();
        let verified = state.index.names.get(name).and_then(|named| named.file);
        let identity = Identity::from(&stat);
        is_regular(&stat) && (verified == Some(identity) || state.young.get(name) == Some(&identity))
    }

    /// As [`publish`](Self::publish), for who holds `changing`.
    pub(crate) fn publish_now(&self, name: &ModelName, sha256: &Digest, generation: Option<u64>) -> Result<()> {
        let object = self.fetch(sha256)?;
        if self.is_intact(name) && self.stands_for(name, sha256) {
            self.note_generation(name, generation)?;
            return self.dress(name, sha256);
        }
        let foreign = self.keep_foreign(name)?;
        self.replace(name, sha256, &object, foreign, generation)
    }

    fn stands_for(&self, name: &ModelName, sha256: &Digest) -> bool {
        self.0.state().index.names.get(name).is_some_and(|named| named.sha256 == *sha256)
    }

    fn note_generation(&self, name: &ModelName, generation: Option<u64>) -> Result<()> {
        {
            let mut state = self.0.state();
            let Some((named, generation)) = state.index.names.get_mut(name).zip(generation) else { return Ok(()) };
            if std::mem::replace(&mut named.generation, generation) == generation {
                return Ok(());
            }
        }
        self.0.save_index()
    }

    /// Replaces a published file whose bytes are damaged: they are worth nothing to anybody.
    pub(crate) fn publish_over(&self, name: &ModelName, sha256: &Digest) -> Result<()> {
        let object = self.fetch(sha256)?;
        self.replace(name, sha256, &object, None, None)
    }

    fn replace(
        &self,
        name: &ModelName,
        sha256: &Digest,
        object: &Object,
        foreign: Option<Digest>,
        generation: Option<u64>,
    ) -> Result<()> {
        let inner = &self.0;
        {
            let mut state = inner.state();
            let state = &mut *state;
            let now_ms = inner.now_ms();
            let named = state.index.named(name, *sha256);
            named.turn_to(*sha256, now_ms);
            named.generation = generation.unwrap_or(named.generation);
            // What is there until the rename is the old file, not what the name stands for now.
            state.young.remove(name);
            if let Some(foreign) = foreign.filter(|foreign| foreign != sha256) {
                named.remember(foreign, now_ms);
            }
        }
        // Written down before the rename: after a crash the next start knows what it finds, and finishes it.
        inner.save_index()?;
        let temporary = temporary(name.as_str());
        let verified = self.copy_out(&temporary, object.mapping(), sha256);
        if verified.is_err() {
            // What stays is removed at the next start.
            let _ = inner.models.unlink(&temporary);
        }
        let file = verified?;
        let path = inner.models.join(name.as_str());
        let renamed = || -> io::Result<Identity> {
            // A sidecar that is missing for a moment can be waited for; one of other bytes would be believed.
            if !self.has_sidecar(name, sha256) && inner.models.unlink(&sidecar(name))? {
                inner.models.sync()?;
            }
            inner.models.rename(&temporary, &inner.models, name.as_str())?;
            inner.models.sync()?;
            Identity::of(&file)
        };
        let identity = renamed().map_err(StoreError::io("rename to", path))?;
        inner.state().young.insert(name.clone(), identity);
        self.dress(name, sha256)
    }

    /// A verified, synced copy of an object under a temporary name where programs look for models.
    pub(crate) fn copy_out(
        &self,
        temporary: &str,
        mapping: &crate::mapping::Mapping,
        sha256: &Digest,
    ) -> Result<std::fs::File> {
        let folder = &self.0.models;
        let path = folder.join(temporary);
        let size = mapping.size();
        folder.unlink(temporary).map_err(StoreError::io("remove", &path))?;
        let sink = folder.create(temporary, 0o600).map_err(StoreError::io("create", &path))?;
        let from = self.0.objects.join(&sha256.to_string());
        let copied = sink.clone_from(mapping.file(), &from, size).and_then(|()| {
            sink.chmod(0o644)?;
            sink.sync()
        });
        copied.map_err(StoreError::io("write", &path))?;
        let found = hash::digest(sink.file(), size).map_err(StoreError::io("read", &path))?;
        if found != *sha256 {
            // Either the copy is bad, or what was copied.
            self.read_again(sha256, mapping)?;
            return Err(StoreError::WrongDigest { what: path.display().to_string(), expected: *sha256, found });
        }
        if let Some(entry) = self.0.state().entries.get_mut(sha256) {
            entry.whole = true;
        }
        drop(sink);
        folder.open_read(temporary).map_err(StoreError::io("open", &path))
    }

    /// Sees to it that sidecar and link fit the file.
    pub(crate) fn dress(&self, name: &ModelName, sha256: &Digest) -> Result<()> {
        let folder = &self.0.models;
        let sidecar = sidecar(name);
        let mut changed = false;
        if !self.has_sidecar(name, sha256) {
            folder
                .replace(&sidecar, &temporary(&sidecar), sidecar_text(name, sha256).as_bytes(), 0o644)
                .map_err(StoreError::io("write", folder.join(&sidecar)))?;
            changed = true;
        }
        if let Some(link) = name.best_link()
            && folder.read_link(&link).as_deref() != Some(name.as_str())
        {
            let fresh = temporary(&link);
            let linked = folder
                .unlink(&fresh)
                .and_then(|_| folder.link(name.as_str(), &fresh))
                .and_then(|()| folder.rename(&fresh, folder, &link));
            linked.map_err(StoreError::io("link", folder.join(&link)))?;
            changed = true;
        }
        if changed { folder.sync().map_err(StoreError::io("sync", folder.path())) } else { Ok(()) }
    }

    fn has_sidecar(&self, name: &ModelName, sha256: &Digest) -> bool {
        let text = self.0.models.read(&sidecar(name), 4096).ok().flatten();
        text.is_some_and(|text| text == sidecar_text(name, sha256).as_bytes())
    }

    /// Takes into the store what somebody else put under the name, before it is replaced. Its digest; `None` if nothing is lost.
    fn keep_foreign(&self, name: &ModelName) -> Result<Option<Digest>> {
        let inner = &self.0;
        let path = inner.models.join(name.as_str());
        let Some(stat) = inner.models.stat(name.as_str()).map_err(StoreError::io("look at", &path))? else {
            return Ok(None);
        };
        let link = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink;
        if link || self.is_intact(name) {
            return Ok(None);
        }
        if !is_regular(&stat) {
            return Err(StoreError::NotAFile(path));
        }
        let file = inner.models.open_read(name.as_str()).map_err(StoreError::io("open", &path))?;
        let identity = Identity::of(&file).map_err(StoreError::io("look at", &path))?;
        if identity.size() == 0 {
            return Ok(None);
        }
        let found = self.digest_of(&file, identity).map_err(|error| {
            if is_damage(&error) { StoreError::Changing(path.clone()) } else { StoreError::io("read", &path)(error) }
        })?;
        if self.fetch(&found).is_err() {
            self.ingest_file(&file, &path, Some(found))?;
        }
        Ok(Some(found))
    }
}

/// Whether a file of this name is one of the store's own in between.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Whether a name belongs to sidecars, links, temporary files or what was set aside: no model can be published under it.
pub fn is_reserved(name: &ModelName) -> bool {
    let name = name.as_str();
    [SIDECAR, TEMPORARY.1, ASIDE].iter().any(|suffix| name.ends_with(suffix)) || name.starts_with(LINK_PREFIX)
}

pub(crate) fn sidecar(name: &ModelName) -> String {
    format!("{name}{SIDECAR}")
}

/// In the format of sha256sum(1).
fn sidecar_text(name: &ModelName, sha256: &Digest) -> String {
    format!("{sha256}  {name}\n")
}

pub(crate) fn temporary(name: &str) -> String {
    format!("{}{name}{}", TEMPORARY.0, TEMPORARY.1)
}
