//! New jobs.

use std::collections::BTreeSet;

use ringrift_job::JobId;

use super::event::Notes;
use super::{Job, Jobs, NewJob, Phase};
use crate::event::shorten;
use crate::{ClusterState, EntryMeta, Outcome};

/// A batch of new jobs.
pub(crate) struct Submit<'a> {
    pub(crate) jobs: &'a [NewJob],
    pub(crate) hard_limit: u32,
    pub(crate) at_ms: u64,
}

impl Jobs {
    /// How a refusal begins that only means: later. Clients are told 429.
    pub const FULL: &'static str = "the work queue is full";
}

impl ClusterState {
    pub(crate) fn submit_jobs(&mut self, entry: EntryMeta, submit: &Submit<'_>) -> Outcome {
        match self.new_jobs(entry, submit) {
            Err(reason) => Outcome::Refused { reason },
            Ok(jobs) if jobs.is_empty() => Outcome::Unchanged,
            Ok(jobs) => {
                let by = jobs.first().map(|job| job.by.clone()).unwrap_or_default();
                let event = Notes::submitted(&jobs.iter().collect::<Vec<_>>(), &by, submit.at_ms);
                for job in jobs {
                    self.jobs.insert(job);
                }
                if let Some(event) = event {
                    self.record(event);
                }
                Outcome::Done
            }
        }
    }

    /// Those of the batch that are new, if all of it can be taken.
    fn new_jobs(&self, entry: EntryMeta, submit: &Submit<'_>) -> Result<Vec<Job>, String> {
        let Submit { jobs, hard_limit, at_ms } = submit;
        if jobs.len() > NewJob::MAX_BATCH {
            return Err(format!("a batch has {} jobs; at most {} come at once", jobs.len(), NewJob::MAX_BATCH));
        }
        let mut seen: BTreeSet<&JobId> = BTreeSet::new();
        let mut new = Vec::new();
        for (job, position) in jobs.iter().zip(0..) {
            if self.jobs.get(&job.id).is_none() && seen.insert(&job.id) {
                self.check(job, &seen)?;
                new.push(made(job, entry, position, *at_ms));
            }
        }
        let asked = new.iter().filter(|job| job.origin != super::Origin::Fill).count();
        let queued = self.jobs.queued();
        if asked > 0 && queued + asked > *hard_limit as usize {
            return Err(format!(
                "{}: {queued} jobs are in it and {asked} more would come; it takes {hard_limit}",
                Jobs::FULL
            ));
        }
        if !new.is_empty() && self.jobs.live().len() + new.len() > Jobs::MAX_LIVE {
            return Err(format!("{}: {} jobs is the most that there may be", Jobs::FULL, Jobs::MAX_LIVE));
        }
        Ok(new)
    }

    fn check(&self, job: &NewJob, earlier: &BTreeSet<&JobId>) -> Result<(), String> {
        let id = &job.id;
        let bytes: usize = job.params.iter().map(|(name, value)| name.len() + value.to_string().len()).sum();
        if bytes > NewJob::MAX_PARAMS {
            return Err(format!("the parameters of {id} have {bytes} bytes; at most {} are kept", NewJob::MAX_PARAMS));
        }
        if !(1..=NewJob::MAX_ATTEMPTS).contains(&job.max_attempts) {
            let (found, most) = (job.max_attempts, NewJob::MAX_ATTEMPTS);
            return Err(format!("{id} is to be tried {found} times: expected 1 to {most}"));
        }
        if job.depends_on.len() > NewJob::MAX_DEPENDENCIES {
            let (found, most) = (job.depends_on.len(), NewJob::MAX_DEPENDENCIES);
            return Err(format!("{id} depends on {found} jobs; at most {most} can be named"));
        }
        for needed in &job.depends_on {
            let known = self.jobs.get(needed);
            // Only what is there already can be named: so no two jobs wait for each other.
            if needed == id || known.is_none() && !earlier.contains(needed) {
                return Err(format!("{id} depends on {needed}, and there is no such job"));
            }
            if let Some(Phase::Ended { outcome, .. }) = known.map(|job| &job.phase)
                && *outcome != super::JobOutcome::Succeeded
            {
                return Err(format!("{id} depends on {needed}, which is {}", outcome.as_str().replace('_', " ")));
            }
        }
        Ok(())
    }
}

fn made(job: &NewJob, entry: EntryMeta, position: u32, at_ms: u64) -> Job {
    let job = job.clone();
    Job {
        id: job.id,
        class: job.class,
        kind: job.kind,
        params: job.params,
        game: job.game,
        priority: job.priority,
        depends_on: job.depends_on,
        timeout_s: job.timeout_s,
        max_attempts: job.max_attempts,
        pinned: job.pinned,
        avoid: BTreeSet::new(),
        origin: job.origin,
        by: shorten(job.by, Job::MAX_BY),
        submitted_at_ms: at_ms,
        submitted_index: entry.index,
        submitted_position: position,
        changed_index: entry.index,
        limits: job.limits,
        phase: Phase::Pending,
        attempt: 0,
        failures: 0,
        retry: 0,
        attempts: Vec::new(),
        cancel: None,
        recall: None,
        reason: String::new(),
    }
}
