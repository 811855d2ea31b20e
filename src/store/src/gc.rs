use std::collections::{BTreeSet, HashMap};

use ringrift_blob::Digest;

use crate::{
    Identity,
    disk::Folder,
    error::{Result, StoreError},
    event::StoreEvent,
    store::{State, Store},
};

/// Damaged files kept for who wants to look at them.
const MAX_ASIDE: usize = 16;

/// What [`Store::gc`] removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects.
    pub objects: Vec<Digest>,
    /// Fetches that nobody went on with.
    pub partials: Vec<Digest>,
    /// Damaged files that were set aside.
    pub aside: usize,
    /// Bytes of all of them.
    pub bytes: u64,
}

impl Store {
    /// Removes old versions. One goes when it is not among the newest [`keep_versions`](crate::StoreConfig::keep_versions) of any name,
    /// or was last in use longer ago than [`keep_for`](crate::StoreConfig::keep_for). What is published, in `in_use`, or being fetched
    /// stays. What was never published counts from when its file was made.
    pub fn gc(&self, in_use: &BTreeSet<Digest>) -> Result<Collected> {
        let inner = &self.0;
        let _one = inner.changing();
        let _two = inner.installing();
        let now_ms = inner.now_ms();
        let keep_ms = u64::try_from(inner.config.keep_for.as_millis()).unwrap_or(u64::MAX);
        let oldest = now_ms.saturating_sub(keep_ms);
        let mut collected = Collected::default();
        for sha256 in self.surplus(in_use, oldest) {
            self.remove_object(&sha256, &mut collected)?;
        }
        if !collected.objects.is_empty() {
            inner.objects.sync().map_err(StoreError::io("sync", inner.objects.path()))?;
        }
        for blob in self.partials() {
            let idle = {
                let state = inner.state();
                !state.fetching.contains(&blob.sha256) && !in_use.contains(&blob.sha256)
            };
            let touched = modified_ms(&inner.partial, &blob.sha256.to_string());
            if idle && touched.is_none_or(|at_ms| at_ms < oldest) && self.remove_partial(&blob.sha256)? {
                collected.bytes += blob.size;
                collected.partials.push(blob.sha256);
            }
        }
        self.collect_aside(oldest, &mut collected)?;
        Ok(collected)
    }

    /// The old versions that [`gc`](Self::gc) would remove now, and their bytes. Removes nothing.
    pub fn would_collect(&self, in_use: &BTreeSet<Digest>) -> Collected {
        let keep_ms = u64::try_from(self.0.config.keep_for.as_millis()).unwrap_or(u64::MAX);
        let objects = self.surplus(in_use, self.0.now_ms().saturating_sub(keep_ms));
        let state = self.0.state();
        let bytes = objects.iter().filter_map(|sha256| state.entries.get(sha256)).map(|entry| entry.size).sum();
        drop(state);
        Collected { objects, bytes, ..Collected::default() }
    }

    fn surplus(&self, in_use: &BTreeSet<Digest>, oldest: u64) -> Vec<Digest> {
        let made: HashMap<Digest, u64> = {
            let entries: Vec<Digest> = self.0.state().entries.keys().copied().collect();
            let made = |sha256: &Digest| modified_ms(&self.0.objects, &sha256.to_string()).unwrap_or(0);
            entries.into_iter().map(|sha256| (sha256, made(&sha256))).collect()
        };
        let state = self.0.state();
        let mut keep = in_use.clone();
        let mut named = BTreeSet::new();
        for name in state.index.names.values() {
            keep.insert(name.sha256);
            let old = self.0.config.keep_versions.saturating_sub(1);
            keep.extend(name.before.iter().take(old).filter(|old| old.until_ms >= oldest).map(|old| old.sha256));
            named.extend(name.before.iter().map(|old| old.sha256));
        }
        for gone in state.index.gone.values() {
            let kept = gone.before.iter().take(self.0.config.keep_versions.max(1));
            keep.extend(kept.filter(|old| old.until_ms >= oldest).map(|old| old.sha256));
            named.extend(gone.before.iter().map(|old| old.sha256));
        }
        let mut surplus: Vec<Digest> = made
            .into_iter()
            .filter(|(sha256, made_ms)| !keep.contains(sha256) && (named.contains(sha256) || *made_ms < oldest))
            .filter(|(sha256, _)| is_idle(&state, sha256))
            .map(|(sha256, _)| sha256)
            .collect();
        surplus.sort_unstable();
        surplus
    }

    fn remove_object(&self, sha256: &Digest, collected: &mut Collected) -> Result<()> {
        let inner = &self.0;
        let hex = sha256.to_string();
        inner.objects.unlink(&hex).map_err(StoreError::io("remove", inner.objects.join(&hex)))?;
        inner.facts.unlink(&hex).map_err(StoreError::io("remove", inner.facts.join(&hex)))?;
        let Some(entry) = inner.state().entries.remove(sha256) else { return Ok(()) };
        collected.bytes += entry.size;
        collected.objects.push(*sha256);
        inner.tell(StoreEvent::Removed { sha256: *sha256, size: entry.size });
        Ok(())
    }

    fn collect_aside(&self, oldest: u64, collected: &mut Collected) -> Result<()> {
        let folder = &self.0.aside;
        let names = folder.list(crate::open::MAX_NAMES).map_err(StoreError::io("list", folder.path()))?;
        let mut files: Vec<(u64, String)> = names
            .into_iter()
            .map(|name| {
                let set_aside = name.rsplit_once('.').and_then(|(_, at_ms)| at_ms.parse().ok());
                (set_aside.unwrap_or(0), name)
            })
            .collect();
        files.sort_unstable();
        let too_many = files.len().saturating_sub(MAX_ASIDE);
        for (index, (at_ms, name)) in files.into_iter().enumerate() {
            if index < too_many || at_ms < oldest {
                let path = folder.join(&name);
                let stat = folder.stat(&name).map_err(StoreError::io("look at", &path))?;
                folder.unlink(&name).map_err(StoreError::io("remove", &path))?;
                collected.aside += 1;
                collected.bytes += stat.map_or(0, |stat| Identity::from(&stat).size());
            }
        }
        Ok(())
    }
}

fn modified_ms(folder: &Folder, name: &str) -> Option<u64> {
    folder.stat(name).ok().flatten().map(|stat| Identity::from(&stat).modified_ms())
}

/// Whether nobody reads it right now. Removing it then would harm nobody, but would free no room either.
fn is_idle(state: &State, sha256: &Digest) -> bool {
    let open = state.entries.get(sha256).and_then(|entry| entry.open.as_ref());
    open.is_none_or(|open| !open.is_read())
}
