//! Models of a saved state. What was current then becomes current again, as a promotion of its own; a model that the saved
//! state does not know stays, since a restore takes no file away.

use std::sync::Arc;

use ringrift_blob::{Blob, ModelName};

use super::Promote;
use crate::{ClusterState, EntryMeta, ModelRecord};

impl ClusterState {
    /// Why the models of a saved state cannot be taken over, if they cannot.
    pub(crate) fn refuses_models_of(&self, saved: &Self) -> Option<String> {
        for (name, record) in &saved.models {
            let sha256 = record.current.sha256;
            match saved.blobs.get(&sha256).filter(|blob| blob.sha256 == sha256) {
                None => return Some(format!("the saved state does not have the chunks of {name}")),
                Some(blob) => {
                    if let Err(error) = blob.check() {
                        return Some(format!("the saved state has {name} with {error}"));
                    }
                }
            }
        }
        self.too_many(saved.current_blobs())
    }

    /// Takes them over, after they were checked.
    pub(crate) fn restore_models(&mut self, entry: EntryMeta, saved: &Self, by: &str, at_ms: u64) {
        // A young cluster gets the past as well, to roll back to.
        for (name, record) in
            saved.models.iter().filter(|(name, _)| !self.models.contains_key(*name)).collect::<Vec<_>>()
        {
            let mut record = ModelRecord::clone(record);
            record.bound();
            for promotion in record.earlier().take(ModelRecord::KEPT_VERSIONS) {
                let valid = |blob: &&Blob| blob.sha256 == promotion.sha256 && blob.check().is_ok();
                if let Some(blob) = saved.blobs.get(&promotion.sha256).filter(valid) {
                    self.blobs.insert(blob.sha256, blob.clone());
                }
            }
            self.models.insert(name.clone(), Arc::new(record));
            self.bring_back(entry, saved, name, by, at_ms);
        }
        let differing: Vec<&ModelName> = saved
            .models
            .iter()
            .filter(|(name, record)| {
                self.models.get(*name).is_none_or(|own| own.current.sha256 != record.current.sha256)
            })
            .map(|(name, _)| name)
            .collect();
        for name in differing {
            self.bring_back(entry, saved, name, by, at_ms);
        }
    }

    fn bring_back(&mut self, entry: EntryMeta, saved: &Self, name: &ModelName, by: &str, at_ms: u64) {
        let Some(was) = saved.models.get(name).map(|record| &record.current) else { return };
        let Some(blob) = saved.blobs.get(&was.sha256) else { return };
        let promote = Promote { name, elo: was.elo, source: &was.source, by, force: false, at_ms };
        self.make_current(entry, &promote, blob, "is restored to");
    }

    fn current_blobs(&self) -> impl Iterator<Item = (&ModelName, &Blob)> {
        self.models.iter().filter_map(|(name, record)| Some((name, self.blobs.get(&record.current.sha256)?)))
    }
}
