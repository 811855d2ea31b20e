use std::collections::HashMap;
use std::time::Duration;

use ringrift_job::JobId;
use ringrift_state::{Assignment, Holder, Job, Jobs, Phase};

/// Since when, by this leader's clock, each job waits for somebody.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    since: HashMap<JobId, (Stage, u32, Duration)>,
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// To be placed.
    Pending,
    /// For its node to say that it runs.
    Placed,
    /// For its worker to be done.
    Pulled,
}

impl Stage {
    fn of(job: &Job) -> Option<Self> {
        match &job.phase {
            Phase::Pending => Some(Self::Pending),
            Phase::Placed { assignment } | Phase::Running { assignment, .. }
                if matches!(assignment.holder, Holder::Pull { .. }) =>
            {
                Some(Self::Pulled)
            }
            Phase::Placed { .. } => Some(Self::Placed),
            Phase::Running { .. } | Phase::Ended { .. } => None,
        }
    }
}

impl Waiting {
    pub(crate) fn learn(&mut self, now: Duration, jobs: &Jobs) {
        let mut before = std::mem::take(&mut self.since);
        for job in jobs.live() {
            let Some(stage) = Stage::of(job) else { continue };
            let known = before.remove(&job.id).filter(|(was, attempt, _)| (*was, *attempt) == (stage, job.attempt));
            self.since.insert(job.id.clone(), known.unwrap_or((stage, job.attempt, now)));
        }
    }

    /// For how long the job has waited as it does now.
    pub(crate) fn time(&self, now: Duration, job: &Job) -> Duration {
        let known = self.since.get(&job.id).filter(|(_, attempt, _)| *attempt == job.attempt);
        known.map_or(Duration::ZERO, |(_, _, since)| now.saturating_sub(*since))
    }
}

/// What was proposed and is not yet seen to be agreed.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    by: HashMap<JobId, Flight>,
}

#[derive(Debug)]
struct Flight {
    /// What the state will show once it is agreed: this attempt for a placement, and for anything else another entry than the
    /// one that changed the job last.
    awaits: u64,
    at: Duration,
    /// A placement takes its part of the node from now on.
    assignment: Option<Assignment>,
}

impl InFlight {
    /// After that a proposal is made again: it was lost, or did not fit any more.
    const LOST: Duration = Duration::from_secs(3);

    pub(crate) fn learn(&mut self, now: Duration, jobs: &Jobs) {
        self.by.retain(|id, flight| {
            let agreed = match (jobs.get(id), &flight.assignment) {
                (Some(job), Some(_)) => u64::from(job.attempt) >= flight.awaits || !job.is_live(),
                (Some(job), None) => job.changed_index != flight.awaits,
                (None, _) => false,
            };
            !agreed && now.saturating_sub(flight.at) < Self::LOST
        });
    }

    pub(crate) fn has(&self, job: &JobId) -> bool {
        self.by.contains_key(job)
    }

    /// A placement of this attempt.
    pub(crate) fn placed(&mut self, job: &JobId, attempt: u32, at: Duration, assignment: Assignment) {
        self.by.insert(job.clone(), Flight { awaits: u64::from(attempt), at, assignment: Some(assignment) });
    }

    /// Any other change of a job.
    pub(crate) fn changed(&mut self, job: &Job, at: Duration) {
        self.by.insert(job.id.clone(), Flight { awaits: job.changed_index, at, assignment: None });
    }

    pub(crate) fn placements(&self) -> impl Iterator<Item = &Assignment> {
        self.by.values().filter_map(|flight| flight.assignment.as_ref())
    }
}
