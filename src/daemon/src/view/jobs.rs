//! Jobs, as clients read them.

use std::collections::BTreeMap;

use ringrift_api::{
    AttemptView, Backpressure, Job as JobJson, JobStatus, JobView, JobWhy, NodeVerdict, Verdict, WorkQueue, WorkStatus,
};
use ringrift_config::{NodeId, Settings};
use ringrift_job::{Kind, ParamValue};
use ringrift_schedule::Why;
use ringrift_state::{AttemptRecord, Holder, Job, JobOutcome, Jobs, Origin, Phase};

use super::{Picture, metrics::Samples};

/// Items that a list of the queue shows at most.
const SHOWN: usize = 100;

pub(crate) fn status_of(job: &Job) -> JobStatus {
    match &job.phase {
        Phase::Pending => JobStatus::Pending,
        Phase::Placed { .. } => JobStatus::Claimed,
        Phase::Running { .. } => JobStatus::Running,
        Phase::Ended { outcome, .. } => match outcome {
            JobOutcome::Succeeded => JobStatus::Completed,
            JobOutcome::Failed | JobOutcome::Lost => JobStatus::Failed,
            JobOutcome::Cancelled => JobStatus::Cancelled,
            JobOutcome::TimedOut => JobStatus::Timeout,
        },
    }
}

fn name_of(holder: &Holder) -> String {
    match holder {
        Holder::Node(node) => node.to_string(),
        Holder::Pull { worker, .. } => worker.clone(),
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// A job.
pub(crate) fn job(job: &Job) -> JobView {
    let holder = job.holder();
    let status = status_of(job);
    let (started_at, completed_at, ending) = match &job.phase {
        Phase::Pending | Phase::Placed { .. } => (None, None, None),
        Phase::Running { since_ms, .. } => (Some(seconds(*since_ms)), None, None),
        Phase::Ended { at_ms, ending, .. } => {
            let ran = ending.as_ref().map(|ending| seconds(at_ms.saturating_sub(ending.ran_ms)));
            (ran, Some(seconds(*at_ms)), ending.clone())
        }
    };
    let text = |name: &str| match job.params.get(name) {
        Some(ParamValue::Text(text)) => Some(text.clone()),
        _ => None,
    };
    // One that is over was somebody's.
    let last = job.attempts.last().filter(|_| job.holder().is_none()).map(|attempt| &attempt.holder);
    JobView {
        job_id: job.id.clone(),
        work_id: job.id.clone(),
        job_type: job.class.clone(),
        work_type: job.class.clone(),
        kind: job.kind,
        status,
        node_id: holder.or(last.filter(|_| status.is_over())).and_then(Holder::place).cloned(),
        claimed_by: holder.or(last.filter(|_| status.is_over())).map(name_of),
        board_type: job.game.map(|game| game.board.as_str().to_owned()).or_else(|| text("board_type")),
        num_players: job.game.map(ringrift_job::GameConfig::players),
        config_key: job.game,
        engine_mode: text("engine_mode"),
        config: job.params.clone(),
        priority: job.priority,
        attempts: job.attempt,
        max_attempts: job.max_attempts,
        depends_on: job.depends_on.clone(),
        timeout_seconds: job.timeout_s,
        origin: match job.origin {
            Origin::Operator => "operator",
            Origin::Work => "work",
            Origin::Fill => "fill",
        }
        .to_owned(),
        requested_by: job.by.clone(),
        gpus: job.assignment().map(|assignment| assignment.gpus.clone()).unwrap_or_default(),
        limits: job.limits.clone(),
        created_at: seconds(job.submitted_at_ms),
        started_at,
        completed_at,
        message: job.reason.clone(),
        error: matches!(status, JobStatus::Failed | JobStatus::Timeout).then(|| job.reason.clone()),
        stopping: job.assignment().is_some() && !job.is_wanted(),
        ending,
    }
}

/// Earlier attempts, the last first.
pub(crate) fn history(job: &Job) -> Vec<AttemptView> {
    let view = |attempt: &AttemptRecord| AttemptView {
        attempt: attempt.attempt,
        claimed_by: Some(name_of(&attempt.holder)),
        ending: attempt.ended.clone(),
        message: attempt.why.clone(),
        at: seconds(attempt.at_ms),
    };
    job.attempts.iter().rev().map(view).collect()
}

/// The counts of `/status`.
pub(super) struct Counts {
    pub(super) by_status: BTreeMap<String, u64>,
    pub(super) pending: u64,
    pub(super) in_progress: u64,
    pub(super) selfplay: u64,
    pub(super) training: u64,
}

pub(super) fn counts(jobs: &Jobs) -> Counts {
    let counts = jobs.counts();
    let sum = |by_kind: &BTreeMap<Kind, u32>| by_kind.values().map(|n| u64::from(*n)).sum::<u64>();
    let of = |kind: Kind| u64::from(counts.running.get(&kind).copied().unwrap_or(0));
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    let (pending, placed, running) = (sum(&counts.pending), sum(&counts.placed), sum(&counts.running));
    let live = [(JobStatus::Pending, pending), (JobStatus::Claimed, placed), (JobStatus::Running, running)];
    let ended = counts.ended.iter().map(|(outcome, n)| {
        let status = match outcome {
            JobOutcome::Succeeded => JobStatus::Completed,
            JobOutcome::Failed | JobOutcome::Lost => JobStatus::Failed,
            JobOutcome::Cancelled => JobStatus::Cancelled,
            JobOutcome::TimedOut => JobStatus::Timeout,
        };
        (status, u64::from(*n))
    });
    for (status, n) in live.into_iter().chain(ended).filter(|(_, n)| *n > 0) {
        *by_status.entry(status.to_string()).or_default() += n;
    }
    Counts {
        by_status,
        pending,
        in_progress: placed + running,
        selfplay: of(Kind::Selfplay),
        training: of(Kind::Training),
    }
}

pub(super) fn work_queue(counts: &Counts) -> WorkQueue {
    WorkQueue { pending: counts.pending, in_progress: counts.in_progress, by_status: counts.by_status.clone() }
}

/// How full the queue is, by the limits of this node's settings.
pub(crate) fn backpressure(jobs: &Jobs, settings: &Settings) -> Backpressure {
    let queued = u64::from(jobs.counts().queued);
    let (soft, hard) = (u64::from(*settings.limits.queue_soft), u64::from(*settings.limits.queue_hard));
    let level = if queued >= hard {
        "hard"
    } else if queued >= soft {
        "soft"
    } else {
        "none"
    };
    Backpressure { level: level.to_owned(), queued, soft_limit: soft, hard_limit: hard }
}

/// Which items a list of the queue is about.
pub(crate) enum Items<'a> {
    All,
    /// Those that are over.
    History,
    OfNode(&'a NodeId),
}

/// The queue.
pub(crate) fn work_status(picture: &Picture, items: &Items<'_>) -> WorkStatus {
    let jobs = &picture.agreed.state.jobs;
    let of_node = |job: &&Job| match items {
        Items::All | Items::History => true,
        Items::OfNode(node) => job.holder().and_then(Holder::place) == Some(*node),
    };
    let mut chosen: Vec<&Job> = match items {
        Items::All | Items::OfNode(_) => jobs.live().map(|job| &**job).filter(of_node).collect(),
        Items::History => jobs.ended().map(|job| &**job).collect(),
    };
    chosen.sort_by_key(|job| job.queue_order());
    let (mut by_status, mut by_type) = (BTreeMap::new(), BTreeMap::new());
    for job in &chosen {
        *by_status.entry(status_of(job).to_string()).or_default() += 1;
        *by_type.entry(job.class.to_string()).or_default() += 1;
    }
    let shown = |wanted: fn(&Job) -> bool| -> Vec<JobView> {
        chosen.iter().filter(|job| wanted(job)).take(SHOWN).map(|job| self::job(job)).collect()
    };
    let pending = shown(Job::is_pending);
    let running = shown(|job| job.assignment().is_some());
    let mut over: Vec<&Job> = chosen.iter().filter(|job| !job.is_live()).copied().collect();
    over.sort_by_key(|job| std::cmp::Reverse(job.changed_index));
    let stats = counts(jobs).by_status;
    WorkStatus {
        total_items: chosen.len() as u64,
        by_status,
        by_type,
        pending,
        running,
        items: over.into_iter().take(SHOWN).map(self::job).collect(),
        stats,
        is_leader: picture.leadership.leader.as_ref() == Some(&picture.node),
        leader_id: picture.leadership.leader.clone(),
        backpressure: backpressure(jobs, &picture.settings),
    }
}

/// What runs on this node, by job.
pub(super) fn local(picture: &Picture) -> BTreeMap<String, JobJson> {
    picture.local_jobs.jobs.iter().map(|job| (job.job_id.to_string(), json(job))).collect()
}

/// Jobs that are not over, the next first; as many as a page of the old dashboard can bear.
pub(super) fn live(picture: &Picture) -> Vec<JobJson> {
    of(picture, |_| true)
}

/// Those of one kind.
pub(super) fn of_kind(picture: &Picture, kind: Kind) -> Vec<JobJson> {
    of(picture, |job| job.kind == kind)
}

fn of(picture: &Picture, wanted: impl Fn(&Job) -> bool) -> Vec<JobJson> {
    let mut jobs: Vec<&Job> = picture.agreed.state.jobs.live().map(|job| &**job).filter(|job| wanted(job)).collect();
    jobs.sort_by_key(|job| (job.is_pending(), job.queue_order()));
    jobs.into_iter().take(1000).map(|job| json(&self::job(job))).collect()
}

fn json<T: serde::Serialize>(value: &T) -> JobJson {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::Object(map)) => JobJson(map),
        // These types are structs with string keys.
        Ok(_) | Err(_) => JobJson::default(),
    }
}

/// Why a job is where it is.
pub(crate) fn why(why: Why, status: JobStatus) -> JobWhy {
    let verdict = |(node_id, verdict): (NodeId, ringrift_schedule::Verdict)| {
        let (verdict, reason) = match verdict {
            ringrift_schedule::Verdict::Chosen => (Verdict::Chosen, "it has the job".to_owned()),
            ringrift_schedule::Verdict::Possible => (Verdict::Suitable, "it could have the job".to_owned()),
            ringrift_schedule::Verdict::PassedOver(why) => (Verdict::PassedOver, why.to_string()),
        };
        NodeVerdict { node_id, verdict, reason }
    };
    let summary = match why.more {
        0 => why.summary,
        more => format!("{}; {more} more nodes were passed over", why.summary),
    };
    JobWhy { success: true, job_id: why.job, status, summary, nodes: why.nodes.into_iter().map(verdict).collect() }
}

/// This node's part in jobs, and what its safety nets caught.
pub(super) fn metrics(samples: &mut Samples, picture: &Picture) {
    let (facts, local) = (&picture.facts.jobs, &picture.local_jobs);
    samples.gauge("ringrift_job_slots", "Jobs that this node takes at once", f64::from(facts.slots));
    samples.gauge("ringrift_jobs_active", "Jobs that run on this node", f64::from(facts.active));
    let refuses = if local.refuses.is_empty() { 0.0 } else { 1.0 };
    samples.gauge("ringrift_jobs_refused", "1 while this node takes no new job", refuses);
    samples.gauge("ringrift_job_classes_waiting", "Classes that wait after failures", local.backing_off.len() as f64);
    let queue = backpressure(&picture.agreed.state.jobs, &picture.settings);
    let limits = [("soft", queue.soft_limit), ("hard", queue.hard_limit)];
    let limits = limits.map(|(limit, n)| (vec![("limit", limit.to_owned())], n as f64));
    samples.family(
        "ringrift_work_queue_limit",
        "Jobs from which on the queue is long, or takes no more",
        limits.into_iter(),
    );
    samples.counter(
        "ringrift_work_queue_refused",
        "Requests for which the queue had no room, counted by the node that led",
        picture.queue_refused,
    );
    samples.counter(
        "ringrift_jobs_dispatch_failed",
        "How often a node got no more jobs of a class for a while, counted by the node that led",
        picture.dispatch_failed,
    );
    let caught = local.nets.iter().map(|(net, n)| (vec![("net", (*net).to_owned())], *n as f64));
    samples.family("ringrift_job_safety_net", "How often a safety net has caught something since the start", caught);
}
