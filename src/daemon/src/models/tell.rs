//! What this node tells about models: the exchange what it wishes, the leader what is new, the others what it has.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::Method;
use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_exchange::{FetchState, Progress, Rates};
use ringrift_state::ClusterState;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    KeptFact, ModelFact, ModelFacts, ModelState, Models, Noted, SetAside, Wish, aside::Aside, keep::Look, promote,
};
use crate::{ask::ask, node::Shared};

/// Time for the leader to be found and to have a line written into the log.
const RECORD_WITHIN: Duration = Duration::from_secs(20);

/// How often the others are told how far a fetch is. Each telling travels to every node.
const TELL_PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What others were last told, so that they are told only what is new.
#[derive(Default)]
pub(super) struct Told {
    wanted: Vec<Digest>,
    members: Vec<(NodeId, bool)>,
    rates: Option<Rates>,
    last_time: Option<Instant>,
    promoting: BTreeSet<Digest>,
    promoted: Arc<Mutex<BTreeSet<Digest>>>,
}

impl Told {
    /// Tells the exchange what is wanted, with whom, and how fast.
    pub(super) fn wishes(&mut self, shared: &Shared, models: &Models, state: &ClusterState) {
        let mut current: Vec<_> = state.models.values().map(|record| &record.current).collect();
        // The newest promotion first: it is what somebody waits for.
        current.sort_unstable_by_key(|promotion| std::cmp::Reverse(promotion.generation));
        let mut seen = BTreeSet::new();
        let digests: Vec<Digest> = current.iter().map(|p| p.sha256).filter(|sha256| seen.insert(*sha256)).collect();
        if digests != self.wanted {
            let blobs: Vec<Blob> = digests.iter().filter_map(|sha256| state.blobs.get(sha256).cloned()).collect();
            models.engine.set_wanted(blobs);
            self.wanted = digests;
        }
        let table = shared.members.table();
        let partners = table.others().filter(|member| member.state.is_present());
        let members: Vec<(NodeId, bool)> = partners
            .filter_map(|member| Some((member, member.facts.as_deref()?)))
            .filter(|(_, facts)| facts.dials_out_only || facts.address.models_port != 0)
            .filter(|(_, facts)| facts.models.trouble.is_empty())
            .map(|(member, facts)| (member.id.clone(), facts.dials_out_only))
            .collect();
        if members != self.members {
            models.engine.set_members(members.clone());
            self.members = members;
        }
        let limit = shared.hosts().and_then(|hosts| hosts.auto_sync.limit_mbps(shared.node()));
        let rates = Rates { up_mbps: limit, down_mbps: limit };
        if self.rates != Some(rates) {
            models.engine.set_rates(rates);
            self.rates = Some(rates);
        }
    }

    /// Has a file that a program of this node wrote made everybody's. Tried again at the next look if it fails.
    /// `over`: the decision on the name that the file was written over.
    pub(super) fn promote(&mut self, shared: &Shared, name: &ModelName, sha256: Digest, over: u64) {
        for done in std::mem::take(&mut *self.promoted.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.promoting.remove(&done);
        }
        if !self.promoting.insert(sha256) {
            return;
        }
        let (shared, name, promoted) = (shared.clone(), name.clone(), self.promoted.clone());
        tokio::spawn(async move {
            let by = format!("a program on {}", shared.node());
            let request = Wish { name, sha256, elo: None, by, force: false, over: Some(over) };
            if let Err(error) = promote(&shared, request).await {
                warn!(%error, "a model that a program of this node wrote is not promoted yet");
                // Not a moment later again: without a leader every look would ask.
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            promoted.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256);
        });
    }

    /// Has it written into the cluster's log that a file lies aside; without a leader, when there is one.
    pub(super) fn set_aside(shared: &Shared, aside: &Aside) {
        let (shared, told) = (shared.clone(), SetAside::of(aside, shared.node()));
        tokio::spawn(async move {
            while let Err(error) =
                ask::<Noted>(&shared, Method::POST, "/api/models/set-aside", &told, RECORD_WITHIN).await
            {
                debug!(%error, "nobody writes down yet that a file was set aside");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        });
    }

    /// Puts together what the others are told.
    pub(super) fn facts(&mut self, models: &Models, state: &ClusterState, look: &Look) {
        let new = facts_of(models, state, look);
        let old = models.facts.load();
        if **old == new {
            return;
        }
        let fetching = |facts: &ModelFacts| -> Vec<(Digest, ModelState, u64)> {
            facts.files.iter().map(|file| (file.sha256, file.state, file.answered)).collect()
        };
        let only_progress = fetching(&old) == fetching(&new) && old.trouble == new.trouble;
        if only_progress && self.last_time.is_some_and(|at| at.elapsed() < TELL_PROGRESS_EVERY) {
            return;
        }
        self.last_time = Some(Instant::now());
        models.facts.store(Arc::new(new));
    }
}

/// Free space is told in steps of this size: each byte is no news.
const SPACE_STEP: u64 = 1 << 30;

fn facts_of(models: &Models, state: &ClusterState, look: &Look) -> ModelFacts {
    let holdings = models.store.holdings();
    let verified_at_ms =
        |sha256: &Digest| holdings.iter().find(|held| held.sha256 == *sha256).map_or(0, |held| held.verified_at_ms);
    let progress: Vec<Progress> = models.engine.progress().borrow().clone();
    let files = state.models.iter().map(|(name, record)| {
        let sha256 = record.current.sha256;
        let fetch = progress.iter().find(|fetch| fetch.sha256 == sha256);
        let mut fact = ModelFact {
            name: name.clone(),
            sha256,
            size: record.current.size,
            state: ModelState::Fetching,
            have: fetch.map_or(0, |fetch| fetch.have),
            bytes_per_second: fetch.map_or(0, |fetch| fetch.bytes_per_second),
            sources: fetch.map_or(0, |fetch| fetch.sources as u32),
            verified_at_ms: verified_at_ms(&sha256),
            answered: 0,
            trouble: String::new(),
        };
        if let Some(answered) = look.right.get(name) {
            (fact.state, fact.answered, fact.have) = (ModelState::Verified, *answered, fact.size);
        } else if let Some(why) = look.wrong.get(name) {
            (fact.state, fact.trouble) = (ModelState::Stuck, why.clone());
        } else {
            match fetch.map(|fetch| &fetch.state) {
                Some(FetchState::NoSpace(why)) => (fact.state, fact.trouble) = (ModelState::NoSpace, why.clone()),
                Some(FetchState::Failed(why) | FetchState::Contradiction(why)) => {
                    (fact.state, fact.trouble) = (ModelState::Stuck, why.clone());
                }
                Some(FetchState::Complete) => fact.state = ModelState::Outdated,
                Some(FetchState::Opening | FetchState::Fetching | FetchState::Finishing) | None => {}
            }
        }
        fact
    });
    let files: Vec<ModelFact> = files.collect();
    let kept = holdings.iter().filter(|held| files.iter().all(|file| file.sha256 != held.sha256));
    let kept = kept
        .map(|held| KeptFact { sha256: held.sha256, size: held.size, verified_at_ms: held.verified_at_ms })
        .take(64)
        .collect();
    let free = models.store.space().ok().map(|space| space.free / SPACE_STEP * SPACE_STEP);
    ModelFacts { free_bytes: free, trouble: String::new(), files, kept }
}
