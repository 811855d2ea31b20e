//! Jobs of a saved state.

use std::collections::BTreeSet;

use ringrift_job::JobId;

use super::event::Notes;
use super::settle::At;
use super::{Job, JobOutcome, Jobs, Origin, Phase};
use crate::{ClusterState, EntryMeta};

impl Jobs {
    /// How far the attempt number of a job jumps that a restore brings back.
    const FENCE: u32 = 1000;
}

impl ClusterState {
    /// What a restore takes of this state's jobs: those that have not ended, unless they only fill slots, and what these depend
    /// on. The rest is left out before a saved state is proposed, since a command must fit into one message.
    #[must_use]
    pub fn for_restore(mut self) -> Self {
        let kept = |job: &&std::sync::Arc<Job>| job.is_live() && job.origin != Origin::Fill;
        let needed: BTreeSet<&JobId> = self.jobs.live().filter(kept).flat_map(|job| &job.depends_on).collect();
        let jobs: Vec<_> = self.jobs.iter().filter(|job| kept(job) || needed.contains(&job.id)).cloned().collect();
        self.jobs = jobs.into();
        self
    }

    /// Brings back the jobs of a saved state that are not known any more.
    ///
    /// What is known now stays as it is: it is newer, runs that it speaks of are real, and a job that has ended since does not
    /// begin again. A job that only the saved state knows and that had not ended there comes back as pending, whoever had it
    /// then: if its run is still there, the node stops it as one that nobody knows, since the attempt number jumps beyond all
    /// that can have been given out between the save and now. So nothing runs twice at once and nothing is forgotten; but a job
    /// that ended after the save, and of which this cluster has no memory, runs once more. Jobs that filled slots do not come
    /// back, nor does the history of ended ones.
    pub(crate) fn restore_jobs(&mut self, entry: EntryMeta, saved: &Self, by: &str, at_ms: u64) {
        let saved = saved.clone().for_restore().jobs;
        let room = Jobs::MAX_LIVE.saturating_sub(self.jobs.live().len());
        let mut back: Vec<&Job> =
            saved.live().map(|job| &**job).filter(|job| self.jobs.get(&job.id).is_none()).collect();
        back.sort_by_key(|job| (job.queue_order(), &job.id));
        back.truncate(room);
        let needed: BTreeSet<&JobId> = back.iter().flat_map(|job| &job.depends_on).collect();
        for job in saved.ended().filter(|job| needed.contains(&job.id)) {
            if self.jobs.get(&job.id).is_none() {
                self.jobs.insert(Job { changed_index: entry.index, ..Job::clone(job) });
            }
        }
        let back: Vec<Job> = back.into_iter().zip(0..).map(|(job, at)| brought_back(job, entry, at, at_ms)).collect();
        let event = Notes::submitted(&back.iter().collect::<Vec<_>>(), by, at_ms);
        if let Some(event) = event {
            self.record(event);
        }
        for job in back {
            self.jobs.insert(job);
        }

        let (at, mut notes) = (At { index: entry.index, ms: at_ms }, Notes::default());
        let failed = needed.into_iter().filter(|id| {
            let phase = self.jobs.get(id).map(|job| &job.phase);
            matches!(phase, Some(Phase::Ended { outcome, .. }) if *outcome != JobOutcome::Succeeded)
        });
        let failed = failed.cloned().collect();
        self.jobs.fail_dependents(at, &mut notes, failed);
        self.jobs.prune();
        notes.events(at_ms).for_each(|event| self.record(event));
    }
}

fn brought_back(job: &Job, entry: EntryMeta, position: u32, at_ms: u64) -> Job {
    let cancelled = Phase::Ended { outcome: JobOutcome::Cancelled, at_ms, ending: None };
    Job {
        attempt: job.attempt.saturating_add(Jobs::FENCE),
        phase: if job.cancel.is_some() { cancelled } else { Phase::Pending },
        recall: None,
        retry: 0,
        submitted_index: entry.index,
        submitted_position: position,
        changed_index: entry.index,
        reason: "it comes from a saved state".to_owned(),
        ..job.clone()
    }
}
