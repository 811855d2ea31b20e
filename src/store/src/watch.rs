use std::{
    collections::{BTreeSet, HashMap},
    io,
    time::{Duration, Instant},
};

use ringrift_blob::{Digest, ModelName};

use crate::{
    Identity,
    error::Result,
    event::StoreEvent,
    hash,
    identity::is_regular,
    mapping::{Mapping, lease},
    publish::is_reserved,
    store::{Entry, Inner, Store, is_damage},
};

/// How long a file must stay the same before it counts as written.
const QUIET: Duration = Duration::from_secs(2);
/// How long the file of an object that is served no longer stays open: what lies in socket buffers leaves meanwhile. Below the kernel's
/// 45 s, after which it lets the writer in anyway.
const LINGER: Duration = Duration::from_secs(10);

/// Files by others, as they were seen.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    seen: HashMap<ModelName, Sighting>,
    missing: BTreeSet<ModelName>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    identity: Identity,
    since: Instant,
    told: bool,
}

impl Store {
    /// What must be looked at now and then, once a second: whether somebody writes to an object, whether what was verified can be
    /// remembered, whether somebody put other files where programs look for models, whether there is room again. Reads at most one object,
    /// one published file, and the files that others put there.
    ///
    /// # Errors
    ///
    /// If the disk fails. What was not done is tried again the next time.
    pub fn tend(&self, now: Instant) -> Result<()> {
        self.look_for_room();
        self.retire_disturbed(now);
        let settled = self.settle_objects().and_then(|()| self.settle_names());
        self.look_for_changes(now)?;
        self.noting_space(settled)
    }

    fn retire_disturbed(&self, now: Instant) {
        let disturbed: Vec<_> = {
            let mut state = self.0.state();
            state.retired.retain(|(since, _)| now.saturating_duration_since(*since) < LINGER);
            let open = state.entries.values().filter_map(|entry| entry.open.clone());
            open.filter(|object| !object.unchanged()).collect()
        };
        for object in disturbed {
            self.retire(&object);
        }
    }

    /// Reads one object whose whole was not read yet, and writes down those that are old enough.
    fn settle_objects(&self) -> Result<()> {
        let is_unread = |entry: &Entry| entry.verified_at_ms.is_none() || !entry.whole;
        let unread: Vec<Digest> = {
            let state = self.0.state();
            let unread = state.entries.iter().filter(|(_, entry)| is_unread(entry));
            unread.map(|(sha256, _)| *sha256).collect()
        };
        for sha256 in unread {
            let Ok(object) = self.fetch(&sha256) else { continue };
            if self.0.state().entries.get(&sha256).is_some_and(is_unread) {
                // Damage was told, and what is written to is looked at again.
                let _ = self.read_again(&sha256, object.mapping());
            }
            break;
        }
        let now = self.0.now();
        let settled: Vec<_> = {
            let mut state = self.0.state();
            let ready = state.entries.iter_mut().filter_map(|(sha256, entry)| {
                let identity = entry.open.as_ref().filter(|_| entry.whole)?.mapping().current()?;
                let at_ms = entry.verified_at_ms?;
                let facts = entry.facts.as_mut()?;
                if facts.verified.is_some() || !identity.settled(now) {
                    return None;
                }
                facts.verified = Some((identity, at_ms));
                Some((*sha256, facts.clone()))
            });
            ready.collect()
        };
        for (sha256, facts) in settled {
            Inner::save_file(&self.0.facts, &sha256.to_string(), &facts)?;
        }
        Ok(())
    }

    /// Reads one published file again whose last change is old enough now, and writes it down.
    fn settle_names(&self) -> Result<()> {
        let now = self.0.now();
        let Some((name, identity)) = ({
            let state = self.0.state();
            let young = state.young.iter().find(|(_, identity)| identity.settled(now));
            young.map(|(name, identity)| (name.clone(), *identity))
        }) else {
            return Ok(());
        };
        let _one = self.0.changing();
        let found = self.0.models.open_read(name.as_str()).and_then(|file| {
            let found = hash::digest(&file, identity.size())?;
            Ok((found, Identity::of(&file)?))
        });
        {
            let mut state = self.0.state();
            state.young.remove(&name);
            let Some(named) = state.index.names.get_mut(&name) else { return Ok(()) };
            match found {
                Ok((sha256, seen)) if sha256 == named.sha256 && seen == identity => named.file = Some(identity),
                // Somebody wrote to it: `look_for_changes` tells.
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound || is_damage(&error) => return Ok(()),
                Err(_) => {
                    state.young.insert(name, identity);
                    return Ok(());
                }
            }
        }
        self.0.save_index()
    }

    fn look_for_changes(&self, now: Instant) -> Result<()> {
        let folder = &self.0.models;
        let names = folder.list(crate::open::MAX_NAMES).map_err(crate::StoreError::io("list", folder.path()))?;
        let names: BTreeSet<ModelName> = names.iter().filter_map(|name| name.parse().ok()).collect();
        for name in names.iter().filter(|name| !is_reserved(name)) {
            let Ok(Some(stat)) = folder.stat(name.as_str()) else { continue };
            if !is_regular(&stat) {
                continue;
            }
            if self.is_intact(name) {
                self.0.state().sightings.seen.remove(name);
            } else {
                self.look_at(name, Identity::from(&stat), now);
            }
        }
        let mut state = self.0.state();
        let state = &mut *state;
        state.sightings.seen.retain(|name, _| names.contains(name));
        let gone: BTreeSet<ModelName> =
            state.index.names.keys().filter(|name| !names.contains(*name)).cloned().collect();
        for name in gone.difference(&state.sightings.missing) {
            self.0.tell(StoreEvent::Missing { name: name.clone() });
        }
        state.sightings.missing = gone;
        Ok(())
    }

    fn look_at(&self, name: &ModelName, identity: Identity, now: Instant) {
        let sighting = {
            let mut state = self.0.state();
            let fresh = Sighting { identity, since: now, told: false };
            let sighting = state.sightings.seen.entry(name.clone()).or_insert(fresh);
            if sighting.identity != identity {
                *sighting = fresh;
            }
            *sighting
        };
        let quiet = now.saturating_duration_since(sighting.since) >= QUIET && identity.settled(self.0.now());
        if sighting.told || !quiet || identity.size() == 0 {
            return;
        }
        let Ok(file) = self.0.models.open_read(name.as_str()) else { return };
        // Time alone would take a file whose writer thinks for 3 s.
        if Identity::of(&file).ok() != Some(identity) || lease::has_writers(&file) == Some(true) {
            return;
        }
        let Ok(found) = self.digest_of(&file, identity) else { return };
        let mut state = self.0.state();
        if let Some(sighting) = state.sightings.seen.get_mut(name) {
            sighting.told = true;
        }
        match state.index.names.get_mut(name) {
            // Touched, or copied back: the bytes are the same.
            Some(named) if named.sha256 == found => {
                state.young.insert(name.clone(), identity);
            }
            _ => self.0.tell(StoreEvent::Changed { name: name.clone(), size: identity.size() }),
        }
    }

    /// Forgets that a published file was verified.
    pub(crate) fn forget_file(&self, name: &ModelName) {
        let mut state = self.0.state();
        state.young.remove(name);
        if let Some(named) = state.index.names.get_mut(name) {
            named.file = None;
        }
    }
}

impl Mapping {
    /// What the file is now, if it surely has the bytes that it had.
    pub(crate) fn current(&self) -> Option<Identity> {
        let identity = Identity::of(self.file()).ok()?;
        self.unchanged().then_some(identity)
    }
}
