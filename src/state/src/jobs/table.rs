use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringrift_config::NodeId;
use ringrift_job::{JobId, Kind};
use serde::{Deserialize, Serialize};

use super::{Job, JobOutcome, Origin, Phase};

type ById = BTreeMap<JobId, Arc<Job>>;

/// The jobs: those that have not ended, and the newest of those that have. A clone shares them.
///
/// Written as one list; which of the two maps a job is in follows from its phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Arc<Job>>", into = "Vec<Arc<Job>>")]
pub struct Jobs {
    // Whole maps are shared: the state is cloned after every apply, and most applies change no job.
    live: Arc<ById>,
    ended: Arc<ById>,
}

/// How many jobs there are, by what they are for and how far they got.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// Nobody has them.
    pub pending: BTreeMap<Kind, u32>,
    /// Somebody has them who has not said yet that they run.
    pub placed: BTreeMap<Kind, u32>,
    /// They run.
    pub running: BTreeMap<Kind, u32>,
    /// Those of the remembered ones that ended so.
    pub ended: BTreeMap<JobOutcome, u32>,
    /// Those not ended that were not made for idle slots: what the queue's limits count.
    pub queued: u32,
}

impl Jobs {
    /// How many jobs may be there that have not ended, whatever the queue's limit says.
    pub const MAX_LIVE: usize = 65_536;
    /// How many ended jobs are remembered: half of them may be such as were made for idle slots, so that those, which are many,
    /// do not push out what people asked for.
    pub const MAX_ENDED: usize = 2048;

    /// The job of this name.
    pub fn get(&self, id: &JobId) -> Option<&Arc<Job>> {
        self.live.get(id).or_else(|| self.ended.get(id))
    }

    /// Those that have not ended, by name.
    pub fn live(&self) -> impl ExactSizeIterator<Item = &Arc<Job>> {
        self.live.values()
    }

    /// Those that have ended and are remembered, by name.
    pub fn ended(&self) -> impl ExactSizeIterator<Item = &Arc<Job>> {
        self.ended.values()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.live().chain(self.ended())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.live.len() + self.ended.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those whose current attempt a node's daemon has, by name; also those that it shall stop. Looks at every job that has not
    /// ended: about 10 ns for each.
    pub fn held_by(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Job>> {
        self.live().filter(move |job| job.holder().and_then(|holder| holder.node()) == Some(node))
    }

    /// How many there are of each sort. Looks at every job.
    pub fn counts(&self) -> JobCounts {
        let mut counts = JobCounts::default();
        for job in self.iter() {
            let by_kind = match &job.phase {
                Phase::Pending => &mut counts.pending,
                Phase::Placed { .. } => &mut counts.placed,
                Phase::Running { .. } => &mut counts.running,
                Phase::Ended { outcome, .. } => {
                    *counts.ended.entry(*outcome).or_default() += 1;
                    continue;
                }
            };
            *by_kind.entry(job.kind).or_default() += 1;
            counts.queued += u32::from(job.origin != Origin::Fill);
        }
        counts
    }

    /// The first of the jobs it depends on that has not succeeded; `None` when it may start. One that is not remembered has not:
    /// what a live job depends on is never dropped.
    pub fn waits_for<'a>(&self, job: &'a Job) -> Option<&'a JobId> {
        let succeeded = |id: &&JobId| {
            let phase = self.ended.get(*id).map(|job| &job.phase);
            matches!(phase, Some(Phase::Ended { outcome: JobOutcome::Succeeded, .. }))
        };
        job.depends_on.iter().find(|id| !succeeded(id))
    }

    /// How many count against the queue's limit.
    pub(super) fn queued(&self) -> usize {
        self.live().filter(|job| job.origin != Origin::Fill).count()
    }

    pub(super) fn insert(&mut self, job: Job) {
        let job = Arc::new(job);
        let (to, from) =
            if job.is_ended() { (&mut self.ended, &mut self.live) } else { (&mut self.live, &mut self.ended) };
        if from.contains_key(&job.id) {
            Arc::make_mut(from).remove(&job.id);
        }
        Arc::make_mut(to).insert(job.id.clone(), job);
    }

    pub(super) fn live_job(&self, id: &JobId) -> Option<&Arc<Job>> {
        self.live.get(id)
    }

    /// Changes a job that has not ended, and moves it where it now belongs.
    pub(super) fn change(&mut self, id: &JobId, change: impl FnOnce(&mut Job)) {
        let live = Arc::make_mut(&mut self.live);
        let Some(slot) = live.get_mut(id) else { return };
        let job = Arc::make_mut(slot);
        change(job);
        if job.is_ended()
            && let Some(job) = live.remove(id)
        {
            Arc::make_mut(&mut self.ended).insert(id.clone(), job);
        }
    }

    /// Drops the oldest of the ended ones that are too many, but none that a live job depends on.
    pub(super) fn prune(&mut self) {
        if self.ended.len() <= Self::MAX_ENDED / 2 {
            return;
        }
        let needed: BTreeSet<&JobId> = self.live().flat_map(|job| &job.depends_on).collect();
        let mut dropped = Vec::new();
        for filled in [false, true] {
            let mut old: Vec<_> = self
                .ended()
                .filter(|job| (job.origin == Origin::Fill) == filled && !needed.contains(&job.id))
                .collect();
            let excess = old.len().saturating_sub(Self::MAX_ENDED / 2);
            if excess > 0 {
                old.select_nth_unstable_by_key(excess - 1, |job| (job.changed_index, &job.id));
                dropped.extend(old[..excess].iter().map(|job| job.id.clone()));
            }
        }
        if !dropped.is_empty() {
            let ended = Arc::make_mut(&mut self.ended);
            for id in &dropped {
                ended.remove(id);
            }
        }
    }
}

impl From<Vec<Arc<Job>>> for Jobs {
    fn from(jobs: Vec<Arc<Job>>) -> Self {
        let by_id = |jobs: Vec<Arc<Job>>| Arc::new(jobs.into_iter().map(|job| (job.id.clone(), job)).collect::<ById>());
        let (live, mut ended): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.is_live());
        let live = by_id(live);
        ended.retain(|job| !live.contains_key(&job.id));
        Self { live, ended: by_id(ended) }
    }
}

impl From<Jobs> for Vec<Arc<Job>> {
    fn from(jobs: Jobs) -> Self {
        jobs.iter().cloned().collect()
    }
}
