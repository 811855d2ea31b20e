//! Brings the files of this node to what is agreed: one look at the disk after the other, in a thread that may block.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_blob::{Digest, ModelName};
use ringrift_state::{ClusterState, ModelRecord, Promotion, Removal};
use ringrift_store::{Identity, Store, StoreError};
use tracing::{info, warn};

use super::{aside::Aside, news::News};

/// What shall be here, and what not any more, by name.
pub(crate) struct Wanted {
    pub(crate) models: BTreeMap<ModelName, Arc<ModelRecord>>,
    pub(crate) removed: BTreeMap<ModelName, Removal>,
}

/// What a look at the disk found.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Models that are whole, verified and under their names, and the distribution for which they were last hashed.
    pub(crate) right: BTreeMap<ModelName, u64>,
    /// Models that are not, though their bytes are here, and why.
    pub(crate) wrong: BTreeMap<ModelName, String>,
    /// New files of programs on this node, to be promoted.
    pub(crate) new: Vec<(ModelName, Digest)>,
    /// Files of programs on this node that were moved out of the way.
    pub(crate) aside: Vec<Aside>,
    /// Whether bytes were found damaged: the exchange must look again what is here.
    pub(crate) damaged: bool,
}

/// What is remembered from one look to the next.
#[derive(Debug)]
pub(crate) struct Keeper {
    store: Store,
    /// Whether a file that a program of this node changes is a new version for all.
    watches: bool,
    /// Files that others wrote and that are whole, not dealt with yet.
    changed: BTreeSet<ModelName>,
    /// Those that are dealt with, until the right file is back in their place.
    settled: BTreeMap<ModelName, Identity>,
    news: News,
    /// The last distribution for which each model was hashed anew.
    answered: BTreeMap<ModelName, u64>,
    /// What could not be done, so that it is logged once.
    complained: BTreeMap<ModelName, String>,
    /// When old versions are looked through again.
    collect_at: Instant,
}

/// How often old versions are looked through when nothing new came.
const COLLECT_EVERY: Duration = Duration::from_mins(10);

impl Keeper {
    pub(crate) fn new(store: Store, watches: bool) -> Self {
        Self {
            store,
            watches,
            changed: BTreeSet::new(),
            settled: BTreeMap::new(),
            news: News::default(),
            answered: BTreeMap::new(),
            complained: BTreeMap::new(),
            collect_at: Instant::now(),
        }
    }

    /// Somebody else put other bytes under this name, and is done.
    pub(crate) fn note_changed(&mut self, name: ModelName) {
        self.changed.insert(name);
    }

    /// Looks, publishes what came, hashes again what is asked for. Blocks on the disk.
    pub(crate) fn look(&mut self, wanted: &Wanted, in_use: &BTreeSet<Digest>) -> Look {
        let mut look = Look::default();
        if let Err(error) = self.store.tend(Instant::now()) {
            warn!(%error, "the models could not be looked after");
        }
        self.take_away(wanted, &mut look);
        let published: BTreeMap<ModelName, (Digest, bool)> =
            self.store.published().into_iter().map(|p| (p.name, (p.sha256, p.intact))).collect();
        for (name, record) in &wanted.models {
            let current = record.current.sha256;
            let distribution = &record.distribution;
            let here = published.get(name);
            let foreign = here.is_none_or(|(_, intact)| !intact);
            self.news.learn(&self.store, name, record.current.generation, Some(current), foreign);
            // A trainer's file is looked at before anything takes its place; one that is still being written is left alone.
            if self.changed.remove(name) {
                let file = self.store.file(name);
                if !self.settle_changed(name, current, &mut look) {
                    continue;
                }
                self.settled.extend(file.map(|file| (name.clone(), file)));
            }
            if here.is_some_and(|(_, intact)| !intact) && self.is_unsettled(name) {
                look.wrong.insert(name.clone(), "somebody is writing another file under its name".to_owned());
                continue;
            }
            let asked = distribution.force && distribution.is_running();
            if asked && self.answered.get(name).is_none_or(|answered| *answered < distribution.generation) {
                match self.store.verify(&current) {
                    Ok(_) => {
                        self.answered.insert(name.clone(), distribution.generation);
                    }
                    Err(StoreError::Unknown(_)) => continue,
                    Err(error) => {
                        look.damaged = true;
                        self.complain(name, &error, &mut look);
                        continue;
                    }
                }
            }
            match self.publish(name, &record.current, here.copied()) {
                Ok(true) => {
                    self.settled.remove(name);
                    self.news.settle(name);
                    self.complained.remove(name);
                    look.right.insert(name.clone(), self.answered.get(name).copied().unwrap_or_default());
                }
                Ok(false) => {}
                Err(error) => {
                    look.damaged |= matches!(error, StoreError::Rotten(_));
                    self.complain(name, &error, &mut look);
                }
            }
        }
        self.first_files(wanted, &mut look);
        if Instant::now() >= self.collect_at {
            self.collect_at = Instant::now() + COLLECT_EVERY;
            if let Err(error) = self.store.gc(in_use) {
                warn!(%error, "old versions of models could not be removed");
            }
        }
        look
    }

    /// Takes away the names that were removed. A file that somebody else wrote there meanwhile is moved aside: it was to be a version of
    /// what is no model any more.
    fn take_away(&mut self, wanted: &Wanted, look: &mut Look) {
        for (name, removal) in &wanted.removed {
            // Not for an older decision than that for which it was published: then what is known here is not the latest.
            if self.news.known(&self.store, name) >= removal.generation {
                continue;
            }
            match self.store.unpublish(name, removal.generation) {
                Ok(aside) => {
                    info!("{name} was removed: it is no model any more");
                    if let Some(path) = aside {
                        warn!(
                            "{name} was removed from the cluster; what a program here wrote there is {}",
                            path.display()
                        );
                        look.aside.push(Aside { name: name.clone(), sha256: None, path });
                    }
                    self.changed.remove(name);
                    self.settled.remove(name);
                    self.news.learn(&self.store, name, removal.generation, None, false);
                    self.collect_at = Instant::now();
                }
                Err(error) => self.complain(name, &error, look),
            }
        }
    }

    /// Puts the current version under its name; whether it is there now. Not if its bytes are not here yet.
    fn publish(
        &mut self,
        name: &ModelName,
        current: &Promotion,
        here: Option<(Digest, bool)>,
    ) -> Result<bool, StoreError> {
        let Promotion { sha256, generation, .. } = *current;
        let there = here == Some((sha256, true));
        if there && self.store.generation(name) == generation {
            return Ok(true);
        }
        if self.store.blob(&sha256).is_none() {
            return Ok(there);
        }
        match self.store.publish_for(name, &sha256, generation) {
            Ok(()) => {
                if !there {
                    info!(%sha256, "{name} is now {sha256}");
                    self.collect_at = Instant::now();
                }
                Ok(true)
            }
            Err(StoreError::Unknown(_)) => Ok(there),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file of somebody else under the name that was not looked at, and may be in the making.
    fn is_unsettled(&self, name: &ModelName) -> bool {
        match self.store.file(name) {
            Some(file) => self.settled.get(name).is_none_or(|settled| !file.has_bytes_of(settled)),
            None => self.store.config().models.join(name.as_str()).symlink_metadata().is_ok(),
        }
    }

    /// A file by somebody else is whole. On a node that trains it is the next version, unless another was agreed on meanwhile: then it
    /// is kept beside the model. Whether the look goes on with this model.
    fn settle_changed(&mut self, name: &ModelName, current: Digest, look: &mut Look) -> bool {
        let overtaken = self.news.is_overtaken(&self.store, name);
        let found = match self.store.take(name) {
            Ok(object) => object.sha256(),
            Err(error) => {
                // It is still being written, or there is no room for it: again at the next look.
                self.changed.insert(name.clone());
                self.complain(name, &error, look);
                return false;
            }
        };
        if found == current {
            return true;
        }
        if !self.watches {
            warn!(
                "{name}: a program here replaced it by {found}; it is set back to {current}, and the other is kept as an old \
                 version (`ringriftctl models promote` makes it everybody's)"
            );
            return true;
        }
        if !overtaken {
            // Until it is agreed on, the file stays as it is; asked again at each look.
            self.changed.insert(name.clone());
            self.news.propose(name, found);
            look.new.push((name.clone(), found));
            look.wrong.insert(name.clone(), format!("a program here wrote {found}, which is being promoted"));
            return false;
        }
        match self.store.keep_beside(name, &found) {
            Ok(path) => {
                warn!(
                    "{name}: a program here wrote {found} before this node knew of {current}, which is what the cluster agreed on; the \
                     file is {} now, and is not promoted (`ringriftctl models promote` does it)",
                    path.display()
                );
                look.aside.push(Aside { name: name.clone(), sha256: Some(found), path });
                true
            }
            Err(error) => {
                self.changed.insert(name.clone());
                self.complain(name, &error, look);
                false
            }
        }
    }

    /// Files that appeared under names of which nothing is agreed.
    fn first_files(&mut self, wanted: &Wanted, look: &mut Look) {
        let unknown = |name: &&ModelName| !wanted.models.contains_key(*name);
        let names: Vec<ModelName> = self.changed.iter().filter(unknown).cloned().collect();
        for name in names {
            if !self.watches || name.config_key().is_none() {
                self.changed.remove(&name);
                continue;
            }
            match self.store.take(&name) {
                Ok(object) => {
                    self.news.propose(&name, object.sha256());
                    look.new.push((name, object.sha256()));
                }
                Err(error) => self.complain(&name, &error, look),
            }
        }
    }

    fn complain(&mut self, name: &ModelName, error: &StoreError, look: &mut Look) {
        let text = error.to_string();
        if self.complained.get(name) != Some(&text) {
            warn!("{name}: {text}");
            self.complained.insert(name.clone(), text.clone());
        }
        look.wrong.insert(name.clone(), text);
    }
}

/// Versions that must not be removed here: the current ones, and those that a rollback needs no file for.
pub(crate) fn in_use(state: &ClusterState) -> BTreeSet<Digest> {
    state.models.values().map(|record| record.current.sha256).collect()
}
