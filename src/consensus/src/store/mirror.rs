//! What the store holds, in memory.

use std::{collections::BTreeMap, io, sync::Arc};

use bytes::Bytes;
use ringrift_state::{ClusterId, Command, EntryMeta, Update};

use super::{Standing, StateImage};
use crate::types::{Entry, EntryPayload, LogId, Proposal, Vote, term_of};

/// Entries sent to another voter at once stay below this, so that a message fits any link.
const BATCH_BYTES: usize = 2 << 20;

/// What the store holds: on disk, or queued for it.
#[derive(Default)]
pub(crate) struct Mirror {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    /// The last entry that was removed because a snapshot holds it.
    pub(crate) purged: Option<LogId>,
    pub(crate) snapshot: Option<(Arc<StateImage>, Bytes)>,
    pub(crate) standing: Standing,
    entries: BTreeMap<u64, Kept>,
    bytes: usize,
    /// Entries that name the cluster, and the name: what this voter's messages carry before the entry is applied.
    names: BTreeMap<u64, String>,
}

struct Kept {
    entry: Entry,
    bytes: usize,
}

impl Mirror {
    /// Adds an entry whose encoding has `bytes` bytes.
    pub(crate) fn push(&mut self, entry: Entry, bytes: usize) {
        let index = entry.log_id.index();
        if let EntryPayload::Normal(Proposal(command)) = &entry.payload
            && let Command::FormCluster { cluster_id, .. } = &**command
        {
            self.names.insert(index, cluster_id.clone());
        }
        self.bytes += bytes;
        if let Some(old) = self.entries.insert(index, Kept { entry, bytes }) {
            self.bytes -= old.bytes;
        }
    }

    /// Removes the entries from `index` on.
    pub(crate) fn truncate(&mut self, index: u64) {
        let gone = self.entries.split_off(&index);
        self.bytes -= gone.values().map(|kept| kept.bytes).sum::<usize>();
        self.names.split_off(&index);
    }

    /// Removes the entries up to `upto`.
    pub(crate) fn purge(&mut self, upto: LogId) {
        let next = upto.index() + 1;
        let kept = self.entries.split_off(&next);
        let gone = std::mem::replace(&mut self.entries, kept);
        self.bytes -= gone.values().map(|kept| kept.bytes).sum::<usize>();
        self.names = self.names.split_off(&next);
        self.purged = self.purged.max(Some(upto));
    }

    /// The last entry that is or was in the log.
    pub(crate) fn last(&self) -> Option<LogId> {
        self.entries.last_key_value().map(|(_, kept)| kept.entry.log_id).or(self.purged)
    }

    /// How large the log is, encoded.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The entries in the range.
    pub(crate) fn range(&self, range: impl std::ops::RangeBounds<u64>) -> Vec<Entry> {
        self.entries.range(range).map(|(_, kept)| kept.entry.clone()).collect()
    }

    /// The first entries of the range, as many as fit one message; at least one if there is one.
    pub(crate) fn first_of(&self, range: std::ops::Range<u64>) -> Vec<Entry> {
        let mut room = BATCH_BYTES;
        self.entries
            .range(range)
            .enumerate()
            .map_while(|(n, (_, kept))| {
                let fits = kept.bytes <= room;
                room = room.saturating_sub(kept.bytes);
                (fits || n == 0).then(|| kept.entry.clone())
            })
            .collect()
    }

    /// What a cluster called `now` when `applied` was applied is called when the rest of the log is; `None` if that is no other name.
    pub(crate) fn name_after(&self, applied: u64, now: &str) -> Option<&str> {
        let later = self.names.range(applied + 1..).map(|(_, name)| &**name);
        later.fold(None, |name, next| if ClusterId::takes(name.unwrap_or(now), next) { Some(next) } else { name })
    }

    /// Entries of `from..=to` for a reader, at most `limit`; `None` if the first is not in the log.
    pub(crate) fn updates(&self, from: u64, to: u64, limit: usize) -> Option<Vec<Update>> {
        self.entries.get(&from)?;
        let updates = self.entries.range(from..=to).take(limit).map(|(index, kept)| {
            let meta = EntryMeta { term: term_of(&kept.entry.log_id), index: *index };
            match &kept.entry.payload {
                EntryPayload::Normal(Proposal(command)) => Update::Entry { meta, command: Command::clone(command) },
                EntryPayload::Blank | EntryPayload::Membership(_) => Update::Blank(meta),
            }
        });
        Some(updates.collect())
    }

    /// Whether the log has no holes and joins what was removed.
    pub(crate) fn check(&self) -> io::Result<()> {
        let first = self.purged.map_or(0, |purged| purged.index() + 1);
        for (expected, index) in (first..).zip(self.entries.keys()) {
            if *index != expected {
                return Err(io::Error::other(format!("log entry {expected} is missing (the next one is {index})")));
            }
        }
        let reached = self.snapshot.as_ref().and_then(|(image, _)| image.head.last);
        match (self.purged, reached) {
            (Some(purged), None) => {
                Err(io::Error::other(format!("the log begins behind entry {purged} and there is no snapshot")))
            }
            (Some(purged), Some(reached)) if reached.index < purged.index() => Err(io::Error::other(format!(
                "the log begins behind entry {purged}, but the snapshot ends with entry {}",
                reached.index
            ))),
            _ => Ok(()),
        }
    }
}
