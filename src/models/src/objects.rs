//! Which object is meant by a name or a digest?

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringrift_blob::{Digest, ModelName};
use ringrift_store::{Object, Published, Store};
use tokio::task::spawn_blocking;

use crate::{
    answer::Labels,
    error::HttpError,
    warm::{self, Warmth},
};

/// The name of the link that leads to a canonical model.
const BEST: &str = "ringrift_best_";

/// Digests and names that are remembered, of each; more than a store keeps.
const MAX_KNOWN: usize = 1024;

/// Finds objects without waiting for the disk where that is possible.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Store,
    known: Arc<Mutex<Known>>,
}

/// What was found before.
#[derive(Debug, Default)]
struct Known {
    open: HashMap<Digest, Open>,
    /// Since when a name stands for a digest.
    names: HashMap<ModelName, (Digest, SystemTime)>,
}

#[derive(Debug)]
struct Open {
    object: Weak<Object>,
    warmth: Arc<Warmth>,
    labels: Labels,
    written: SystemTime,
}

/// An object that can be served.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) object: Arc<Object>,
    pub(crate) warmth: Arc<Warmth>,
    pub(crate) labels: Labels,
    /// Since when it is what was asked for.
    pub(crate) since: SystemTime,
}

impl Objects {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// An object by its digest.
    pub(crate) async fn by_digest(&self, sha256: Digest) -> Result<Found, HttpError> {
        let missing = || HttpError::NotFound(format!("{sha256} is not here"));
        let open = self.known().open.get(&sha256).and_then(|open| {
            // Open, or until just now: the store answers without reading the file.
            let object = open.object.upgrade()?;
            Some(Found { object, warmth: Arc::clone(&open.warmth), labels: open.labels.clone(), since: open.written })
        });
        if let Some(found) = open {
            // It is asked each time, since it may have found the object damaged.
            let object = self.store.object(&sha256).ok_or_else(missing)?;
            if Arc::ptr_eq(&found.object, &object) {
                return Ok(found);
            }
        }
        let store = self.store.clone();
        let found = spawn_blocking(move || {
            let object = store.object(&sha256)?;
            let (warmth, since) = (Arc::new(Warmth::of(&object)), warm::written(&object));
            Some(Found { labels: Labels::of(&sha256), object, warmth, since })
        });
        let found = found.await.map_err(|error| panicked(&error))?.ok_or_else(missing)?;
        let open = Open {
            object: Arc::downgrade(&found.object),
            warmth: Arc::clone(&found.warmth),
            labels: found.labels.clone(),
            written: found.since,
        };
        let mut known = self.known();
        if known.open.len() >= MAX_KNOWN {
            known.open.retain(|_, open| open.object.strong_count() > 0);
        }
        if known.open.len() < MAX_KNOWN {
            known.open.insert(sha256, open);
        }
        Ok(found)
    }

    /// An object by the name of a model, or of the link to it.
    pub(crate) async fn by_name(&self, name: &ModelName) -> Result<Found, HttpError> {
        let target = target(name)?;
        let (sha256, named_since) = self.named(&target).await?;
        let found = self.by_digest(sha256).await?;
        Ok(Found { since: found.since.max(named_since), ..found })
    }

    /// What a name stands for, and since when.
    async fn named(&self, name: &ModelName) -> Result<(Digest, SystemTime), HttpError> {
        // What the store holds is in its memory; since when a name stands for it is not, and is asked for once.
        let held = self.store.holdings().into_iter().find(|held| held.names.contains(name));
        let known = self.known().names.get(name).copied();
        if let Some(known) = known.filter(|(sha256, _)| held.is_some_and(|held| held.sha256 == *sha256)) {
            return Ok(known);
        }
        let (store, wanted) = (self.store.clone(), name.clone());
        let published = spawn_blocking(move || store.published().into_iter().find(|model| model.name == wanted));
        let published = published.await.map_err(|error| panicked(&error))?;
        let published = published.ok_or_else(|| HttpError::NotFound(format!("no model {name} is published here")))?;
        let found = (published.sha256, since(&published));
        let mut known = self.known();
        if known.names.len() >= MAX_KNOWN {
            known.names.clear();
        }
        known.names.insert(name.clone(), found);
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When the name began to stand for what it is: when it ceased to be what it was before.
fn since(published: &Published) -> SystemTime {
    let ms = published.before.iter().map(|(_, until_ms)| *until_ms).max();
    UNIX_EPOCH + Duration::from_millis(ms.unwrap_or(0))
}

/// `canonical_hex8_2p.pth` for `ringrift_best_hex8_2p.pth`, as the link on the disk has it.
fn target(name: &ModelName) -> Result<ModelName, HttpError> {
    let key = name.as_str().strip_prefix(BEST).and_then(|rest| rest.strip_suffix(".pth"));
    Ok(key.map_or_else(|| Ok(name.clone()), ModelName::canonical)?)
}

pub(crate) fn panicked(error: &tokio::task::JoinError) -> HttpError {
    HttpError::Internal(format!("a task of the model server ended: {error}"))
}
