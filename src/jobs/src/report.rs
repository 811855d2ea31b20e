//! What a node says of the jobs that it was given, and what the leader makes of it. Pure.

use std::collections::BTreeMap;

use ringrift_config::NodeId;
use ringrift_job::{Ending, How, JobId, RunId, Usage};
use ringrift_state::{Holder, Job, JobChange, Jobs, Phase};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Found, Report, Reported, RunState};

/// Body of `POST /api/jobs/report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobReports {
    /// The node that reports.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// How its jobs are.
    pub jobs: Vec<JobReport>,
    /// Safety nets that caught something.
    #[serde(default)]
    pub nets: Vec<NetReport>,
}

/// How an attempt is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobReport {
    /// The job.
    #[schema(value_type = String)]
    pub job: JobId,
    /// The attempt.
    pub attempt: u32,
    /// How it is.
    #[schema(value_type = Object)]
    pub what: Told,
}

/// What is told of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Told {
    /// It runs.
    Started {
        /// Since when by the wall clock, in milliseconds since the epoch.
        since_ms: u64,
    },
    /// It is over.
    Ended {
        /// How it ended.
        ending: Ending,
    },
    /// The node gives it back: others should try.
    Refused {
        /// Why, as a sentence.
        reason: String,
    },
}

/// A safety net that caught something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetReport {
    /// Its name: `runaway`, `crash_loop`, `gpu_idle` …
    pub net: String,
    /// What happened, as a sentence.
    pub message: String,
}

/// Answer to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportTaken {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// How many of the reports said something new.
    pub changes: u32,
}

/// What is to be told: what the reconciler says of wanted runs, and how runs ended that nobody wants any more but that are still
/// agreed to be here.
pub fn due(node: &NodeId, jobs: &Jobs, reports: Vec<Report>, found: &[Found]) -> Vec<JobReport> {
    let mut due: BTreeMap<RunId, Told> = BTreeMap::new();
    let held: Vec<&Job> = jobs.held_by(node).map(|job| &**job).collect();
    for Report { run, what } in reports {
        let told = match what {
            Reported::Started { since_ms } => Told::Started { since_ms },
            Reported::Ended { ending, cause: None } => Told::Ended { ending },
            Reported::Ended { cause: Some(reason), .. } | Reported::Refused { reason } => Told::Refused { reason },
        };
        due.insert(run, told);
    }
    for job in held.iter().filter(|job| !job.is_wanted()) {
        let Some(run) = job.run() else { continue };
        let ending = match found.iter().find(|found| found.run == run).map(|found| &found.state) {
            Some(RunState::Ended(ending)) => ending.clone(),
            Some(RunState::Starting | RunState::Running { .. } | RunState::Stopping) => continue,
            // It never began, or was forgotten: in either case it does not run.
            None => Ending { how: How::Stopped, ran_ms: 0, usage: Usage::default() },
        };
        due.insert(run, Told::Ended { ending });
    }
    let news = |run: &RunId, told: &Told| {
        let job = held.iter().find(|job| job.id == run.job && job.attempt == run.attempt);
        job.is_some_and(|job| match told {
            Told::Started { .. } => matches!(job.phase, Phase::Placed { .. }),
            Told::Ended { .. } | Told::Refused { .. } => true,
        })
    };
    due.into_iter()
        .filter(|(run, told)| news(run, told))
        .map(|(run, what)| JobReport { job: run.job, attempt: run.attempt, what })
        .collect()
}

/// Whether a run that has ended may be forgotten: nothing agreed speaks of it any more.
pub fn may_forget(jobs: &Jobs, run: &RunId) -> bool {
    jobs.get(&run.job).is_none_or(|job| job.run().as_ref() != Some(run))
}

/// The changes that reports of a node mean. What it says of jobs that others have means nothing.
pub fn changes(jobs: &Jobs, reports: &JobReports) -> Vec<JobChange> {
    let is_its = |report: &&JobReport| {
        jobs.get(&report.job).is_some_and(|job| {
            job.attempt == report.attempt && job.holder() == Some(&Holder::Node(reports.node.clone()))
        })
    };
    let changes = reports.jobs.iter().filter(is_its).map(|JobReport { job, attempt, what }| {
        let (job, attempt) = (job.clone(), *attempt);
        match what {
            Told::Started { since_ms } => JobChange::Started { job, attempt, since_ms: *since_ms },
            Told::Ended { ending } => JobChange::Ended { job, attempt, ending: ending.clone() },
            Told::Refused { reason } => JobChange::Refused { job, attempt, reason: reason.clone() },
        }
    });
    changes.take(JobChange::MAX_BATCH).collect()
}
