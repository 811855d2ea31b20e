use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;

use super::{distribution, event::short};
use crate::event::shorten;
use crate::{
    ClusterState, Distribution, DistributionState, Elo, EntryMeta, ModelDistributionEnded, ModelDistributionStarted,
    ModelPromoted, ModelRecord, Outcome, Promotion, Standing,
};

/// A promotion before it has its generation.
pub(crate) struct Promote<'a> {
    pub(crate) name: &'a ModelName,
    pub(crate) elo: Option<Elo>,
    pub(crate) source: &'a NodeId,
    pub(crate) by: &'a str,
    pub(crate) force: bool,
    pub(crate) at_ms: u64,
}

/// How a distribution ended.
pub(crate) struct Ended<'a> {
    pub(crate) name: &'a ModelName,
    pub(crate) sha256: &'a Digest,
    pub(crate) generation: u64,
    pub(crate) succeeded: &'a BTreeSet<NodeId>,
    pub(crate) failed: &'a BTreeMap<NodeId, String>,
    pub(crate) duration_ms: u64,
    pub(crate) at_ms: u64,
}

impl ClusterState {
    pub(crate) fn promote_model(
        &mut self,
        entry: EntryMeta,
        promote: &Promote<'_>,
        blob: &Blob,
        over: Option<u64>,
    ) -> Outcome {
        if let Err(error) = blob.check() {
            return refused(format!("{} cannot be promoted: {error}", promote.name));
        }
        if !promote.force && self.current(promote.name).is_some_and(|sha256| *sha256 == blob.sha256) {
            return Outcome::Unchanged;
        }
        if over.is_some_and(|over| over != self.generation_of(promote.name)) {
            return refused(self.overtaken(promote.name));
        }
        if let Some(reason) = self.too_many(std::iter::once((promote.name, blob))) {
            return refused(format!("{} cannot be promoted: {reason}", promote.name));
        }
        self.make_current(entry, promote, blob, "is now");
        Outcome::Done
    }

    pub(crate) fn roll_back_model(
        &mut self,
        entry: EntryMeta,
        name: &ModelName,
        to: &Digest,
        by: &str,
        at_ms: u64,
    ) -> Outcome {
        let Some(record) = self.models.get(name).cloned() else { return refused(unknown(name)) };
        if record.current.sha256 == *to {
            return Outcome::Unchanged;
        }
        let Some(earlier) = record.promotion_of(to) else {
            return refused(format!("{name} never was {}, as far as its history goes", short(to)));
        };
        let Some(blob) = self.blobs.get(to).cloned() else {
            return refused(format!(
                "the chunks of {} are not known any more: promote the file of that version again",
                short(to)
            ));
        };
        let promote = Promote { name, elo: earlier.elo, source: &earlier.source, by, force: false, at_ms };
        if let Some(reason) = self.too_many(std::iter::once((name, &blob))) {
            return refused(format!("{name} cannot be rolled back: {reason}"));
        }
        self.make_current(entry, &promote, &blob, "is rolled back to");
        Outcome::Done
    }

    pub(crate) fn start_distribution(
        &mut self,
        entry: EntryMeta,
        name: Option<&ModelName>,
        by: &str,
        force: bool,
        at_ms: u64,
    ) -> Outcome {
        let names: Vec<ModelName> = match name {
            Some(name) if self.models.contains_key(name) => vec![name.clone()],
            Some(name) => return refused(unknown(name)),
            None if self.models.is_empty() => return refused("no model was promoted yet".to_owned()),
            None => self.models.keys().cloned().collect(),
        };
        let mut outcome = Outcome::Unchanged;
        for name in names {
            let Some(record) = self.models.get_mut(&name) else { continue };
            if record.distribution.is_running() && !force {
                continue;
            }
            let record = Arc::make_mut(record);
            record.distribution = running(entry, by, force, at_ms);
            let event = ModelDistributionStarted::event(&name, &record.current.sha256, &record.distribution);
            self.record(event);
            outcome = Outcome::Done;
        }
        outcome
    }

    pub(crate) fn end_distribution(&mut self, ended: &Ended<'_>) -> Outcome {
        let &Ended { name, sha256, generation, succeeded, failed, duration_ms, at_ms } = ended;
        // Another version or another attempt has come since: the leader that says so has judged what is past.
        let Some(record) = self
            .models
            .get_mut(name)
            .filter(|record| record.current.sha256 == *sha256 && record.distribution.generation == generation)
        else {
            return Outcome::Unchanged;
        };
        if succeeded.is_empty() && failed.is_empty() {
            return refused(format!("the distribution of {name} cannot end without a node"));
        }
        match (&record.distribution.state, failed.is_empty()) {
            (DistributionState::Complete { .. }, _) | (DistributionState::Failed { .. }, false) => {
                return Outcome::Unchanged;
            }
            (DistributionState::Running, _) | (DistributionState::Failed { .. }, true) => {}
        }
        let succeeded: BTreeSet<NodeId> =
            succeeded.iter().filter(|node| !failed.contains_key(*node)).cloned().collect();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Arc::make_mut(record).distribution.state = if failed.is_empty() {
            DistributionState::Complete { nodes: count(succeeded.len()), duration_ms, at_ms }
        } else {
            let kept = distribution::bounded(failed);
            DistributionState::Failed {
                succeeded: count(succeeded.len()),
                more: count(failed.len() - kept.len()),
                failed: kept,
                duration_ms,
                at_ms,
            }
        };
        self.record(ModelDistributionEnded::event(name, sha256, &succeeded, failed, duration_ms, at_ms));
        Outcome::Done
    }

    /// What every node shall have under this name.
    fn current(&self, name: &ModelName) -> Option<&Digest> {
        self.models.get(name).map(|record| &record.current.sha256)
    }

    /// The change itself, once it is known to be possible.
    pub(super) fn make_current(&mut self, entry: EntryMeta, promote: &Promote<'_>, blob: &Blob, deed: &str) {
        let &Promote { name, elo, source, by, force, at_ms } = promote;
        let promotion = Promotion {
            sha256: blob.sha256,
            size: blob.size,
            generation: entry.index,
            elo,
            by: shorten(by.to_owned(), Standing::MAX_TEXT),
            source: source.clone(),
            at_ms,
        };
        let distribution = running(entry, by, force, at_ms);
        let promoted = ModelPromoted::event(name, &promotion, deed);
        let started = ModelDistributionStarted::event(name, &blob.sha256, &distribution);
        self.blobs.insert(blob.sha256, blob.clone());
        self.removed.remove(name);
        if let Some(record) = self.models.get_mut(name) {
            let record = Arc::make_mut(record);
            record.supersede(promotion);
            record.distribution = distribution;
        } else {
            let record = ModelRecord { current: promotion, distribution, history: [].into() };
            self.models.insert(name.clone(), Arc::new(record));
        }
        self.prune_blobs();
        self.record(promoted);
        self.record(started);
    }
}

fn running(entry: EntryMeta, by: &str, force: bool, at_ms: u64) -> Distribution {
    let by = shorten(by.to_owned(), Standing::MAX_TEXT);
    Distribution { generation: entry.index, by, started_at_ms: at_ms, force, state: DistributionState::Running }
}

pub(super) fn unknown(name: &ModelName) -> String {
    format!("no model {name} was promoted: `ringriftctl models list` shows those that were")
}

pub(super) fn refused(reason: String) -> Outcome {
    Outcome::Refused { reason }
}
