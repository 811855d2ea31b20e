//! What runs on this node, as status and operators are shown it.

use std::{collections::BTreeMap, sync::Arc};

use ringrift_api::{BackingOff, LocalJob};
use ringrift_config::NodeId;
use ringrift_job::{ClassName, RunId, Usage};
use ringrift_jobs::{Found, RunState};
use ringrift_state::Job;

use super::terms::Terms;

/// One look's picture of this node's jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Local {
    /// Why no job is taken, as sentences; empty if some are.
    pub(crate) refuses: Vec<String>,
    /// The classes that cannot run here, each with the reason.
    pub(crate) unavailable: Vec<String>,
    /// Classes that wait after failures.
    pub(crate) backing_off: Vec<BackingOff>,
    /// What is wanted here or runs here.
    pub(crate) jobs: Vec<LocalJob>,
    /// How often each safety net has caught something since the daemon started.
    pub(crate) nets: BTreeMap<&'static str, u64>,
    /// The last thing that went wrong with the runner itself.
    pub(crate) trouble: Option<String>,
}

/// The classes that wait, as they are shown.
pub(super) fn backing_off(waiting: &[ringrift_jobs::BackingOff]) -> Vec<BackingOff> {
    let shown = waiting.iter().map(|one| BackingOff {
        class: one.class.clone(),
        failures: one.failures,
        seconds: one.left.as_secs_f64().round(),
        reason: one.reason.clone(),
    });
    shown.collect()
}

/// What is wanted here or runs here.
pub(super) fn jobs(
    node: &NodeId,
    held: &[Arc<Job>],
    found: &[Found],
    usage: &BTreeMap<RunId, Usage>,
    terms: &Terms,
) -> Vec<LocalJob> {
    let wanted = held.iter().filter_map(|job| Some((job.run()?, Some(&**job), None)));
    let mut all: BTreeMap<RunId, (Option<&Job>, Option<&RunState>)> =
        wanted.map(|(run, job, state)| (run, (job, state))).collect();
    for found in found {
        all.entry(found.run.clone()).or_insert((None, None)).1 = Some(&found.state);
    }
    all.into_iter().map(|(run, (job, state))| one(node, run, job, state, usage, terms)).collect()
}

fn one(
    node: &NodeId,
    run: RunId,
    job: Option<&Job>,
    state: Option<&RunState>,
    usage: &BTreeMap<RunId, Usage>,
    terms: &Terms,
) -> LocalJob {
    let (status, pid, since_ms, ran_ms, message) = match state {
        None => ("wanted", 0, 0, 0, String::new()),
        Some(RunState::Starting) => ("starting", 0, 0, 0, String::new()),
        Some(RunState::Running { since_ms, ran_ms, pid }) => ("running", *pid, *since_ms, *ran_ms, String::new()),
        Some(RunState::Stopping) => ("stopping", 0, 0, 0, String::new()),
        Some(RunState::Ended(ending)) => ("ended", 0, 0, ending.ran_ms, format!("it {}", ending.how)),
    };
    let message = match job {
        None if message.is_empty() => "the cluster does not want it here any more".to_owned(),
        Some(job) if !job.is_wanted() && message.is_empty() => job.reason.clone(),
        _ => message,
    };
    let game = job.and_then(|job| job.game);
    LocalJob {
        job_type: job.map_or_else(|| class_of(&run), |job| job.class.clone()),
        kind: run.kind,
        attempt: run.attempt,
        status: status.to_owned(),
        node_id: node.clone(),
        unit: run.unit(),
        pid,
        board_type: game.map(|game| game.board.as_str().to_owned()),
        num_players: game.map(ringrift_job::GameConfig::players),
        started_at: since_ms as f64 / 1000.0,
        runtime_seconds: (ran_ms / 1000) as f64,
        gpus: job.and_then(Job::assignment).map(|assignment| assignment.gpus.clone()).unwrap_or_default(),
        limits: terms.limits(&run).cloned().unwrap_or_default(),
        usage: usage.get(&run).cloned().unwrap_or_default(),
        message,
        job_id: run.job,
    }
}

/// The class of a run that nobody knows any more: its id begins with it.
fn class_of(run: &RunId) -> ClassName {
    let class = run.job.as_str().rsplit_once('-').and_then(|(class, _)| class.parse().ok());
    class.or_else(|| run.kind.as_str().parse().ok()).unwrap_or_else(|| unreachable!("a kind's name is a class's name"))
}
