//! What happens to jobs that there are.

use std::collections::{BTreeMap, BTreeSet};

use ringrift_config::NodeId;
use ringrift_job::{JobId, Limits};

use super::event::Notes;
use super::settle::{At, Over};
use super::{Assignment, Cancel, Fill, Holder, Job, JobChange, JobOutcome, Jobs, Phase};
use crate::event::shorten;
use crate::{ClusterState, Eligibility, EntryMeta, Outcome, kind};

/// What the nodes have given away already.
#[derive(Default)]
struct Taken {
    jobs: BTreeMap<NodeId, u32>,
    gpus: BTreeMap<(NodeId, u32), u32>,
}

impl ClusterState {
    /// Each change is judged alone: one that does not fit changes nothing, and holds up no other.
    pub(crate) fn change_jobs(&mut self, entry: EntryMeta, changes: &[JobChange], at_ms: u64) -> Outcome {
        if changes.len() > JobChange::MAX_BATCH {
            let most = JobChange::MAX_BATCH;
            return Outcome::Refused { reason: format!("{} changes at once; at most {most} are taken", changes.len()) };
        }
        let at = At { index: entry.index, ms: at_ms };
        let mut notes = Notes::default();
        let mut taken = None;
        let mut touched = BTreeSet::new();
        for change in changes {
            if self.change_job(change, at, &mut taken, &mut notes) {
                touched.insert(change.job().clone());
            }
        }
        if touched.is_empty() {
            return Outcome::Unchanged;
        }
        self.finish(touched, at, notes);
        Outcome::Done
    }

    pub(crate) fn cancel_jobs(&mut self, entry: EntryMeta, jobs: &BTreeSet<JobId>, by: &str, at_ms: u64) -> Outcome {
        let at = At { index: entry.index, ms: at_ms };
        let by = shorten(by.to_owned(), Job::MAX_BY);
        let mut notes = Notes::default();
        let mut touched = BTreeSet::new();
        for id in jobs {
            let Some(job) = self.jobs.live_job(id).filter(|job| job.cancel.is_none()) else { continue };
            let (pending, pulled) = (job.is_pending(), matches!(job.holder(), Some(Holder::Pull { .. })));
            let cancel = Cancel { by: by.clone(), at_ms };
            self.jobs.change(id, |job| {
                job.cancel = Some(cancel);
                job.changed_index = at.index;
                "it is cancelled, and its run is being stopped".clone_into(&mut job.reason);
            });
            if pending {
                let reason = if by.is_empty() { "cancelled".to_owned() } else { format!("cancelled by {by}") };
                self.jobs.end_pending(id, JobOutcome::Cancelled, &reason, at, &mut notes);
            } else if pulled {
                // Nobody can stop it, and what it reports later is an answer to no question.
                self.jobs.settle(id, &Over::Lost("nobody can stop its worker"), at, &mut notes);
            }
            touched.insert(id.clone());
        }
        if touched.is_empty() {
            return Outcome::Unchanged;
        }
        self.finish(touched, at, notes);
        Outcome::Done
    }

    pub(crate) fn limit_job(&mut self, entry: EntryMeta, id: &JobId, limits: &Limits, by: &str, at_ms: u64) -> Outcome {
        if let Err(error) = limits.check() {
            return Outcome::Refused { reason: error.to_string() };
        }
        match self.jobs.live_job(id) {
            None => Outcome::Refused { reason: format!("there is no job {id}, or it has ended") },
            Some(job) if job.limits == *limits => Outcome::Unchanged,
            Some(_) => {
                self.jobs.change(id, |job| {
                    job.limits = limits.clone();
                    job.changed_index = entry.index;
                });
                let who = if by.is_empty() { String::new() } else { format!(", by {by}") };
                let mut notes = Notes::default();
                if let Some(job) = self.jobs.get(id) {
                    let place = job.holder().and_then(Holder::place);
                    notes.add(kind::JOB_LIMITED, job, place, format!("{id} has other limits{who}"));
                }
                notes.events(at_ms).for_each(|event| self.record(event));
                Outcome::Done
            }
        }
    }

    pub(crate) fn set_fill(&mut self, fill: Option<&Fill>) -> Outcome {
        let fill = fill.cloned().map(|fill| Fill { by: shorten(fill.by, Job::MAX_BY), ..fill });
        let same = |a: &Option<Fill>, b: &Option<Fill>| match (a, b) {
            (Some(a), Some(b)) => (a.enabled, &a.weights) == (b.enabled, &b.weights),
            (a, b) => a.is_none() && b.is_none(),
        };
        if same(&self.fill, &fill) {
            return Outcome::Unchanged;
        }
        self.fill = fill;
        Outcome::Done
    }

    fn finish(&mut self, touched: BTreeSet<JobId>, at: At, mut notes: Notes) {
        let failed = touched.into_iter().filter(|id| {
            let phase = self.jobs.get(id).map(|job| &job.phase);
            matches!(phase, Some(Phase::Ended { outcome, .. }) if *outcome != JobOutcome::Succeeded)
        });
        let failed = failed.collect();
        self.jobs.fail_dependents(at, &mut notes, failed);
        self.jobs.prune();
        notes.events(at.ms).for_each(|event| self.record(event));
    }

    fn change_job(&mut self, change: &JobChange, at: At, taken: &mut Option<Taken>, notes: &mut Notes) -> bool {
        let Some(job) = self.jobs.live_job(change.job()) else { return false };
        let id = &job.id.clone();
        let held = |attempt: u32| job.attempt == attempt && job.assignment().is_some();
        match change {
            JobChange::Place { attempt, assignment, slots, .. } => {
                let next = job.attempt.checked_add(1) == Some(*attempt);
                if !next || !job.is_pending() || job.cancel.is_some() || self.jobs.waits_for(job).is_some() {
                    return false;
                }
                let taken = taken.get_or_insert_with(|| Taken::of(&self.jobs));
                if let Some(node) = assignment.holder.place()
                    && self.eligibility_of(node) != Eligibility::Eligible
                {
                    return false;
                }
                if !taken.take(assignment, *slots) {
                    return false;
                }
                self.jobs.change(id, |job| {
                    job.attempt = *attempt;
                    job.reason = format!("attempt {attempt} goes to {}", assignment.holder);
                    job.phase = Phase::Placed { assignment: bounded(assignment) };
                    job.changed_index = at.index;
                });
            }
            JobChange::Started { attempt, since_ms, .. } => {
                let Phase::Placed { assignment } = &job.phase else { return false };
                if job.attempt != *attempt {
                    return false;
                }
                let assignment = assignment.clone();
                let place = assignment.holder.place().cloned();
                let reason = format!("attempt {attempt} runs on {}", assignment.holder);
                self.jobs.change(id, |job| {
                    job.phase = Phase::Running { assignment, since_ms: *since_ms };
                    job.reason.clone_from(&reason);
                    job.changed_index = at.index;
                });
                if let Some(job) = self.jobs.get(id) {
                    notes.add(kind::JOB_STARTED, job, place.as_ref(), format!("{id}: {reason}"));
                }
            }
            JobChange::Ended { attempt, ending, .. } if held(*attempt) => {
                self.release(id, taken);
                self.jobs.settle(id, &Over::Ended(ending), at, notes);
            }
            JobChange::Refused { attempt, reason, .. } if held(*attempt) => {
                self.release(id, taken);
                self.jobs.settle(id, &Over::Refused(reason), at, notes);
            }
            JobChange::Lost { attempt, reason, .. } if held(*attempt) => {
                self.release(id, taken);
                self.jobs.settle(id, &Over::Lost(reason), at, notes);
            }
            JobChange::Recall { attempt, reason, .. } if held(*attempt) && job.recall.is_none() => {
                let why = shorten(reason.clone(), super::AttemptRecord::MAX_WHY);
                self.jobs.change(id, |job| {
                    job.reason = format!("its run is being stopped to go elsewhere: {why}");
                    job.recall = Some(why);
                    job.changed_index = at.index;
                });
            }
            JobChange::GiveUp { attempt, outcome, reason, .. } if job.is_pending() && job.attempt == *attempt => {
                // Nothing succeeds without having run.
                let outcome = if *outcome == JobOutcome::Succeeded { JobOutcome::Failed } else { *outcome };
                self.jobs.end_pending(id, outcome, &shorten(reason.clone(), Job::MAX_REASON), at, notes);
            }
            JobChange::Ended { .. }
            | JobChange::Refused { .. }
            | JobChange::Lost { .. }
            | JobChange::Recall { .. }
            | JobChange::GiveUp { .. } => return false,
        }
        true
    }

    /// What a job had is free for a later placement of the same batch.
    fn release(&self, id: &JobId, taken: &mut Option<Taken>) {
        if let (Some(taken), Some(assignment)) = (taken, self.jobs.live_job(id).and_then(|job| job.assignment())) {
            taken.give_back(assignment);
        }
    }
}

impl Taken {
    fn of(jobs: &Jobs) -> Self {
        let mut taken = Self::default();
        jobs.live().filter_map(|job| job.assignment()).for_each(|assignment| taken.add(assignment));
        taken
    }

    fn add(&mut self, assignment: &Assignment) {
        let Some(node) = assignment.holder.place() else { return };
        *self.jobs.entry(node.clone()).or_default() += 1;
        for gpu in &assignment.gpus {
            let share = self.gpus.entry((node.clone(), *gpu)).or_default();
            *share = share.saturating_add(assignment.gpu_share);
        }
    }

    fn give_back(&mut self, assignment: &Assignment) {
        let Some(node) = assignment.holder.place() else { return };
        if let Some(count) = self.jobs.get_mut(node) {
            *count = count.saturating_sub(1);
        }
        for gpu in &assignment.gpus {
            if let Some(share) = self.gpus.get_mut(&(node.clone(), *gpu)) {
                *share = share.saturating_sub(assignment.gpu_share);
            }
        }
    }

    /// Takes it if there is room.
    fn take(&mut self, assignment: &Assignment, slots: u32) -> bool {
        let Some(node) = assignment.holder.place() else { return assignment.gpus.is_empty() };
        let free = |gpu: &u32| {
            let used = self.gpus.get(&(node.clone(), *gpu)).copied().unwrap_or(0);
            used.saturating_add(assignment.gpu_share) <= 100
        };
        let distinct = assignment.gpus.iter().collect::<BTreeSet<_>>().len() == assignment.gpus.len();
        let room = self.jobs.get(node).copied().unwrap_or(0) < slots;
        if !room || !distinct || !assignment.gpus.iter().all(free) {
            return false;
        }
        self.add(assignment);
        true
    }
}

fn bounded(assignment: &Assignment) -> Assignment {
    let holder = match &assignment.holder {
        Holder::Pull { worker, node } => {
            Holder::Pull { worker: shorten(worker.clone(), Job::MAX_BY), node: node.clone() }
        }
        Holder::Node(node) => Holder::Node(node.clone()),
    };
    let mut gpus = assignment.gpus.clone();
    gpus.truncate(64);
    Assignment { holder, gpus, ..assignment.clone() }
}
