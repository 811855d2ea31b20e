//! What the engine's task does about wanted blobs.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use ringrift_blob::{Blob, Digest};
use ringrift_swarm::Input;
use tokio::time::Instant;

use crate::engine::neighbourhood;
use crate::fetch::{Ended, Fetch, State, Work};
use crate::progress::ExchangeEvent;
use crate::storage::{Opened, Part, StorageError};
use crate::task::Task;

impl Task {
    pub(crate) fn set_members(&mut self, members: &[(ringrift_config::NodeId, bool)]) {
        self.dialling.set(&neighbourhood(&self.config, members), Instant::now());
    }

    pub(crate) fn set_wanted(&mut self, wanted: Vec<Blob>) {
        let now = Instant::now();
        let mut order = Vec::with_capacity(wanted.len());
        let mut fresh = Vec::new();
        for blob in wanted {
            if let Err(error) = blob.check() {
                tracing::error!("{} is not fetched: {error}", blob.sha256);
            } else if !order.contains(&blob.sha256) {
                order.push(blob.sha256);
                fresh.push(blob);
            }
        }
        let kept: HashSet<Digest> = order.iter().copied().collect();
        let gone: Vec<Digest> = self.fetches.keys().filter(|sha256| !kept.contains(*sha256)).copied().collect();
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&kept);
        for sha256 in gone {
            self.forget(&sha256);
            self.peers.values_mut().for_each(|peer| peer.disown(&sha256));
            match self.fetches.remove(&sha256).map(|fetch| fetch.state) {
                Some(State::Fetching(part)) => self.abandon(sha256, part),
                Some(State::Waiting(..)) => self.discard(sha256),
                // The store is at work on it: what comes of that is abandoned then.
                Some(State::Opening | State::Finishing(_) | State::Whole(_) | State::Hopeless(_)) | None => {}
            }
        }
        self.order = order;
        // The planner can be told to prefer what was wanted last.
        fresh.reverse();
        let mut news = false;
        for blob in fresh {
            let sha256 = blob.sha256;
            if self.fetches.get(&sha256).is_none_or(|fetch| fetch.blob != blob) {
                news = true;
                self.forget(&sha256);
                if let Some(State::Fetching(part)) = self.fetches.remove(&sha256).map(|fetch| fetch.state) {
                    self.abandon(sha256, part);
                }
                self.peers.values_mut().for_each(|peer| peer.adopt(sha256, blob.count()));
                self.fetches.insert(sha256, Fetch::new(blob, 0, now));
                self.open(&sha256);
            }
        }
        if news {
            self.dialling.owe(now);
        }
        self.dirty = true;
    }

    /// Whether chunks are missing that others could send now.
    pub(crate) fn hungry(&self) -> bool {
        self.fetches.values().any(Fetch::is_hungry)
    }

    /// Asks the store again about everything that it said to be whole.
    pub(crate) fn recheck(&mut self) {
        for sha256 in self.order.clone() {
            let done = self.fetches.get(&sha256).map(|fetch| &fetch.state);
            if matches!(done, Some(State::Whole(_) | State::Hopeless(_))) {
                self.open(&sha256);
            }
        }
    }

    /// The planner plans for it no longer, and nobody is told any longer that it is here.
    fn forget(&mut self, sha256: &Digest) {
        self.step(Input::Forget { sha256: *sha256 });
        let mut free = Vec::new();
        for (id, peer) in &mut self.peers {
            free.extend(peer.untell(*sha256).into_iter().map(|which| (id.clone(), which.chunk)));
        }
        for (peer, chunk) in free {
            self.step(Input::Sent { peer, sha256: *sha256, chunk });
        }
    }

    /// Lets go of a fetch in the blocking pool, because that may sync what came last.
    fn let_go(&mut self, sha256: Digest, part: Arc<dyn Part>) {
        self.disk.spawn_blocking(move || {
            drop(part);
            Ended { sha256, job: 0, what: Work::LetGo }
        });
    }

    fn abandon(&mut self, sha256: Digest, part: Arc<dyn Part>) {
        part.abandon();
        self.let_go(sha256, part);
    }

    fn open(&mut self, sha256: &Digest) {
        self.last_id += 1;
        let job = self.last_id;
        let Some(fetch) = self.fetches.get_mut(sha256) else { return };
        fetch.job = job;
        let (blob, storage, removing) = (fetch.blob.clone(), Arc::clone(&self.storage), Arc::clone(&self.removing));
        self.disk.spawn_blocking(move || {
            // Not while something is removed: it could be the same blob.
            let _open = removing.read().unwrap_or_else(PoisonError::into_inner);
            Ended { sha256: blob.sha256, job, what: Work::Opened(storage.open(&blob)) }
        });
    }

    fn discard(&mut self, sha256: Digest) {
        let (live, removing, storage) = (Arc::clone(&self.live), Arc::clone(&self.removing), Arc::clone(&self.storage));
        self.disk.spawn_blocking(move || {
            let _alone = removing.write().unwrap_or_else(PoisonError::into_inner);
            // It may be wanted again meanwhile.
            if !live.lock().unwrap_or_else(PoisonError::into_inner).contains(&sha256) {
                storage.discard(&sha256);
            }
            Ended { sha256, job: 0, what: Work::LetGo }
        });
    }

    /// All chunks are here.
    pub(crate) fn finish(&mut self, sha256: &Digest) {
        let Some(fetch) = self.fetches.get_mut(sha256) else { return };
        let State::Fetching(part) = &fetch.state else { return };
        let (part, sha256) = (Arc::clone(part), *sha256);
        fetch.state = State::Finishing(Arc::clone(&part));
        self.last_id += 1;
        let job = self.last_id;
        fetch.job = job;
        self.dirty = true;
        self.disk.spawn_blocking(move || Ended { sha256, job, what: Work::Finished(part.finish()) });
    }

    pub(crate) fn disk_ended(&mut self, ended: Ended) {
        let sha256 = ended.sha256;
        let known = self.fetches.contains_key(&sha256);
        let Some(fetch) = self.fetches.get_mut(&sha256).filter(|fetch| fetch.job == ended.job) else {
            if let Work::Opened(Ok(Opened::Part(part))) = ended.what {
                if known { self.let_go(sha256, part) } else { self.abandon(sha256, part) }
            }
            return;
        };
        self.dirty = true;
        fetch.moved = Instant::now();
        match ended.what {
            Work::Opened(Ok(opened)) => {
                if matches!(fetch.state, State::Waiting(StorageError::NoSpace(_), _)) {
                    tracing::info!("there is room for {sha256} again");
                    let _ = self.shared.events.send(ExchangeEvent::DiskFree { sha256 });
                }
                match opened {
                    Opened::Whole(supply) => {
                        fetch.state = State::Whole(supply);
                        let blob = fetch.blob.clone();
                        self.step(Input::Hold { blob: &blob });
                        self.tell(&sha256);
                    }
                    Opened::Part(part) => self.fetch_on(sha256, part),
                }
            }
            Work::Finished(Ok(supply)) => {
                let part = std::mem::replace(&mut fetch.state, State::Whole(supply));
                let event = ExchangeEvent::Fetched { sha256, took: fetch.since.elapsed(), by_peer: fetch.by_peer() };
                self.event(event);
                if let State::Finishing(part) = part {
                    self.let_go(sha256, part);
                }
            }
            Work::Opened(Err(error)) | Work::Finished(Err(error)) => self.not_stored(&sha256, &error),
            Work::LetGo => {}
        }
        let at_work = |fetch: &Fetch| matches!(fetch.state, State::Opening | State::Finishing(_));
        self.urgent |= !self.fetches.values().any(at_work);
    }

    fn fetch_on(&mut self, sha256: Digest, part: Arc<dyn Part>) {
        let have = part.have();
        // What the planner thinks may be here is less than before, if something was found damaged.
        let shrunk = self.planner.have(&sha256).is_some_and(|before| before.iter().any(|chunk| !have.contains(chunk)));
        if shrunk {
            self.forget(&sha256);
        }
        let Some(fetch) = self.fetches.get_mut(&sha256) else { return };
        fetch.state = State::Fetching(part);
        fetch.life = fetch.job;
        let blob = fetch.blob.clone();
        let full = have.is_full();
        self.step(Input::Want { blob: &blob, have });
        self.tell(&sha256);
        if full {
            self.finish(&sha256);
        }
        self.dialling.owe(Instant::now());
    }

    /// Tells everybody what is here of a blob.
    fn tell(&mut self, sha256: &Digest) {
        if let Some(have) = self.planner.have(sha256) {
            self.peers.values_mut().for_each(|peer| peer.tell(*sha256, have));
        }
    }

    /// The store cannot go on with a blob.
    pub(crate) fn not_stored(&mut self, sha256: &Digest, error: &StorageError) {
        let Some(fetch) = self.fetches.get_mut(sha256) else { return };
        let waiting = match &fetch.state {
            State::Waiting(before, _) => Some(before.clone()),
            _ => None,
        };
        tracing::warn!("{sha256} cannot be stored: {error}");
        let (sha256, reason) = (*sha256, error.to_string());
        let event = match error {
            StorageError::NoSpace(_) => ExchangeEvent::DiskFull { sha256, reason: reason.clone() },
            _ => ExchangeEvent::Failed { sha256, reason: reason.clone() },
        };
        let state = match error {
            StorageError::Contradiction(_) => State::Hopeless(reason),
            _ => State::Waiting(error.clone(), Instant::now() + self.config.retry_after),
        };
        let before = std::mem::replace(&mut fetch.state, state);
        // Work under way for it no longer counts.
        fetch.job = 0;
        // Said once, however often it is tried.
        if waiting.is_none_or(|before| std::mem::discriminant(&before) != std::mem::discriminant(error)) {
            self.event(event);
        }
        self.forget(&sha256);
        if let State::Fetching(part) | State::Finishing(part) = before {
            self.let_go(sha256, part);
        }
        self.dirty = true;
    }

    /// A chunk could not be read, though it was here: asks the store again, a while later.
    pub(crate) fn unreadable(&mut self, sha256: &Digest, reason: String) {
        if self.fetches.get(sha256).is_some_and(|fetch| fetch.supply().is_some()) {
            self.not_stored(sha256, &StorageError::Failed(reason));
        }
    }

    /// Tries again what waited long enough, and says what is stuck.
    pub(crate) fn review_fetches(&mut self, now: Instant) {
        for sha256 in self.order.clone() {
            let Some(fetch) = self.fetches.get_mut(&sha256) else { continue };
            match &mut fetch.state {
                State::Waiting(_, until) if *until <= now => {
                    *until = now + self.config.retry_after;
                    // A store that takes long to answer is not asked twice.
                    if fetch.job == 0 {
                        self.open(&sha256);
                    }
                }
                State::Fetching(_) if now - fetch.moved >= self.config.stuck_after => {
                    fetch.moved = now;
                    self.say_stuck(sha256);
                }
                _ => {}
            }
        }
    }

    fn say_stuck(&mut self, sha256: Digest) {
        let Some(have) = self.planner.have(&sha256) else { return };
        let missing = have.len() - have.count();
        let holders =
            self.peers.values().filter(|peer| peer.has_any_of(&sha256, |chunk| !have.contains(chunk))).count();
        let reason = match (self.peers.len(), holders) {
            (0, _) => "no other node is connected".to_owned(),
            (connected, 0) => format!("none of the {connected} nodes connected has what is missing"),
            (_, holders) => format!("{holders} connected nodes have what is missing, and send none of it"),
        };
        tracing::warn!("nothing of {sha256} came for {:?}: {reason}", self.config.stuck_after);
        self.event(ExchangeEvent::Stuck { sha256, missing, lasted: self.config.stuck_after, reason });
    }
}
