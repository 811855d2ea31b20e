//! Jobs: asked for, shown, explained, stopped.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, Query, Request, State},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use ringrift_api::{
    JobCancelled, JobLimited, JobList, JobLog, JobShown, JobStatus, JobSubmitted, JobWhy, LimitsRequest, NodeJobs,
    StopRequest, SubmitRequest,
};
use ringrift_config::NodeId;
use ringrift_job::{JobId, RunId};
use ringrift_jobs::report::{self, JobReports, ReportTaken};
use ringrift_state::{Command, Holder, Job, Jobs, NewEvent, NewJob, Outcome, kind};
use serde::Deserialize;

use super::{auth::Caller, error::ApiError, operations::json, proxy};
use crate::{
    jobs,
    node::Shared,
    view::{self, epoch_ms},
};

/// The most jobs of one list.
const MAX_LIST: usize = 10_000;

/// Which jobs.
#[derive(Debug, Deserialize)]
pub(crate) struct Which {
    #[serde(rename = "type")]
    class: Option<String>,
    /// A status, or `open` for those that are not over.
    status: Option<String>,
    node: Option<NodeId>,
    limit: Option<usize>,
}

/// The jobs, the newest first.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs",
    params(("type" = Option<String>, Query, description = "only of this class"),
        ("status" = Option<String>, Query, description = "only of this status; `open` for those that are not over"),
        ("node" = Option<String>, Query, description = "only those that this node has"),
        ("limit" = Option<u64>, Query, description = "at most so many; 1000 if nobody says")),
    responses((status = 200, body = JobList), (status = 400)))]
pub(crate) async fn list(State(shared): State<Shared>, Query(which): Query<Which>) -> Result<Json<JobList>, ApiError> {
    let status = which.status.as_deref().filter(|status| !matches!(*status, "open" | "all" | ""));
    let status: Option<JobStatus> = status.map(read_status).transpose()?;
    let open = which.status.as_deref() == Some("open");
    let class = which.class.as_deref().map(|name| {
        let settings = shared.settings();
        settings.job_classes.get(name).map_or_else(|| name.to_owned(), |class| class.name.to_string())
    });
    let agreed = shared.agreement.agreed();
    let chosen = |job: &&Job| {
        class.as_ref().is_none_or(|class| job.class.as_str() == class)
            && (!open || job.is_live())
            && status.is_none_or(|status| view::status_of(job) == status)
            && which.node.as_ref().is_none_or(|node| job.holder().and_then(Holder::place) == Some(node))
    };
    let mut jobs: Vec<&Job> = agreed.state.jobs.iter().map(|job| &**job).filter(chosen).collect();
    jobs.sort_by_key(|job| std::cmp::Reverse((job.submitted_index, job.submitted_position)));
    let total = jobs.len() as u64;
    let limit = which.limit.unwrap_or(1000).min(MAX_LIST);
    Ok(Json(JobList { success: true, jobs: jobs.into_iter().take(limit).map(view::job).collect(), total }))
}

fn read_status(text: &str) -> Result<JobStatus, ApiError> {
    let known = JobStatus::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| {
        let all = JobStatus::ALL.map(JobStatus::as_str).join(", ");
        ApiError::BadRequest(format!("there is no status {text:?}: expected open, or one of {all}"))
    })
}

/// Asks for a job.
#[utoipa::path(post, path = "/api/jobs/submit", tag = "jobs", request_body = SubmitRequest,
    responses((status = 200, body = JobSubmitted), (status = 400), (status = 401), (status = 409), (status = 429), (status = 503)))]
pub(crate) async fn submit(State(shared): State<Shared>, body: Bytes) -> Result<Json<JobSubmitted>, ApiError> {
    let request: SubmitRequest = json(&body)?;
    let new = jobs::from_submit(&shared.settings(), request)?;
    let id = new.id.clone();
    propose_new(&shared, vec![new]).await?;
    let (_, job) = known(&shared, &id)?;
    let view = view::job(&job);
    Ok(Json(JobSubmitted {
        success: true,
        job_id: id,
        job_type: job.class.to_string(),
        status: view.status,
        message: if view.message.is_empty() { "it waits for a node".to_owned() } else { view.message.clone() },
        job: view,
    }))
}

/// The same, as old clients ask.
#[utoipa::path(post, path = "/start_job", tag = "jobs", request_body = SubmitRequest,
    responses((status = 200, body = JobSubmitted), (status = 400), (status = 401), (status = 409), (status = 429), (status = 503)))]
pub(crate) async fn start_job(shared: State<Shared>, body: Bytes) -> Result<Json<JobSubmitted>, ApiError> {
    submit(shared, body).await
}

/// Has jobs taken into the queue.
pub(super) async fn propose_new(shared: &Shared, jobs: Vec<NewJob>) -> Result<(), ApiError> {
    if let Some(node) = jobs.iter().filter_map(|job| job.pinned.as_ref()).find(|node| !shared.knows(node)) {
        return Err(ApiError::NotFound(format!("no node is called {node}: `ringriftctl nodes list` shows them")));
    }
    let hard_limit = *shared.settings().limits.queue_hard;
    match shared.propose(Command::SubmitJobs { jobs, hard_limit, at_ms: epoch_ms() }).await?.outcome {
        Outcome::Done | Outcome::Unchanged | Outcome::Duplicate => Ok(()),
        Outcome::Refused { reason } if reason.starts_with(Jobs::FULL) => {
            shared.jobs.tally.queue_refused.add(1);
            Err(ApiError::QueueFull(reason))
        }
        Outcome::Refused { reason } => Err(ApiError::BadRequest(reason)),
    }
}

/// A job, and how earlier attempts ended.
#[utoipa::path(get, path = "/api/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobShown), (status = 404)))]
pub(crate) async fn show(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<JobShown>, ApiError> {
    let (_, job) = named(&shared, &id)?;
    Ok(Json(JobShown { success: true, job: view::job(&job), history: view::history(&job) }))
}

/// Why a job is where it is, or why it is nowhere.
#[utoipa::path(get, path = "/api/jobs/{id}/why", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobWhy), (status = 404), (status = 503)))]
pub(crate) async fn why(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<JobWhy>, ApiError> {
    let (id, job) = named(&shared, &id)?;
    let status = view::status_of(&job);
    shared.decide(|scheduler, now, view| scheduler.why(now, &id, view))?.map_or_else(
        || Err(ApiError::NotFound(format!("there is no job {id} any more"))),
        |why| Ok(Json(view::why(why, status))),
    )
}

/// Stops a job, or takes it out of the queue.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobCancelled), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Json<JobCancelled>, ApiError> {
    let (id, _) = named(&shared, &id)?;
    cancelled(&shared, id, &caller).await.map(Json)
}

/// The same, as old clients ask.
#[utoipa::path(post, path = "/stop_job", tag = "jobs", request_body = StopRequest,
    responses((status = 200, body = JobCancelled), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn stop_job(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<JobCancelled>, ApiError> {
    let request: StopRequest = json(&body)?;
    known(&shared, &request.job_id)?;
    cancelled(&shared, request.job_id, &caller).await.map(Json)
}

pub(super) async fn cancelled(shared: &Shared, id: JobId, caller: &Caller) -> Result<JobCancelled, ApiError> {
    let by = caller.forwarded_by.as_ref().unwrap_or(shared.node());
    let command =
        Command::CancelJobs { jobs: BTreeSet::from([id.clone()]), by: format!("a client of {by}"), at_ms: epoch_ms() };
    if let Outcome::Refused { reason } = shared.propose(command).await?.outcome {
        return Err(ApiError::Refused(reason));
    }
    let (_, job) = known(shared, &id)?;
    let status = view::status_of(&job);
    let message = match status {
        JobStatus::Pending | JobStatus::Claimed | JobStatus::Running => format!("{id} is being stopped"),
        JobStatus::Cancelled => format!("{id} is cancelled"),
        JobStatus::Completed | JobStatus::Failed | JobStatus::Timeout => {
            format!("{id} is over already: {}", job.reason)
        }
    };
    Ok(JobCancelled { success: true, job_id: id, status, message })
}

/// Gives a job other limits, also while it runs.
#[utoipa::path(post, path = "/api/jobs/{id}/limits", tag = "jobs", params(("id" = String, Path)), request_body = LimitsRequest,
    responses((status = 200, body = JobLimited), (status = 400), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn limits(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<JobLimited>, ApiError> {
    let (id, job) = named(&shared, &id)?;
    let LimitsRequest { limits, by } = json(&body)?;
    let limits = limits.or(&job.limits);
    limits.check().map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let command =
        Command::LimitJob { job: id.clone(), limits: limits.clone(), by: by.unwrap_or_default(), at_ms: epoch_ms() };
    if let Outcome::Refused { reason } = shared.propose(command).await?.outcome {
        return Err(ApiError::Refused(reason));
    }
    let message = format!("{id} has these limits from now on, over those of its class; its node sets them in a moment");
    Ok(Json(JobLimited { success: true, job_id: id, limits, message }))
}

/// What the asked node runs, and why it takes no more.
#[utoipa::path(get, path = "/api/jobs/here", tag = "jobs", responses((status = 200, body = NodeJobs)))]
pub(crate) async fn here(State(shared): State<Shared>) -> Json<NodeJobs> {
    let (facts, local) = (shared.jobs.facts(), shared.jobs.local());
    Json(NodeJobs {
        node_id: shared.node().clone(),
        runner: shared.jobs.machine.name().to_owned(),
        refuses: local.refuses.clone(),
        slots: facts.slots,
        classes: facts.offers.iter().map(|offer| offer.class.clone()).collect(),
        unavailable: local.unavailable.clone(),
        not_enforced: shared.jobs.machine.not_enforced(),
        backing_off: local.backing_off.clone(),
        jobs: local.jobs.clone(),
    })
}

/// Which lines.
#[derive(Debug, Deserialize)]
pub(crate) struct WhichLines {
    lines: Option<usize>,
    attempt: Option<u32>,
    after: Option<String>,
}

/// What a job wrote, read on the node that has or had it.
#[utoipa::path(get, path = "/api/jobs/{id}/log", tag = "jobs",
    params(("id" = String, Path), ("lines" = Option<u64>, Query, description = "at most so many; 100 if nobody says"),
        ("attempt" = Option<u32>, Query, description = "an earlier attempt"),
        ("after" = Option<String>, Query, description = "the `cursor` of an earlier answer: only what came since")),
    responses((status = 200, body = JobLog), (status = 401), (status = 404), (status = 502)))]
pub(crate) async fn log(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(which): Query<WhichLines>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (id, job) = named(&shared, &id)?;
    let attempt = which.attempt.unwrap_or(job.attempt);
    let earlier = || job.attempts.iter().find(|record| record.attempt == attempt).map(|record| &record.holder);
    let holder = job.holder().filter(|_| attempt == job.attempt).or_else(earlier);
    let node = match holder {
        Some(Holder::Node(node)) => node.clone(),
        Some(Holder::Pull { worker, .. }) => {
            return Err(ApiError::NotFound(format!(
                "attempt {attempt} of {id} was run by the worker {worker}, who keeps its log"
            )));
        }
        None => return Err(ApiError::NotFound(format!("{id} has no attempt {attempt} whose log could be read"))),
    };
    if node != *shared.node() {
        if caller.forwarded_by.is_some() {
            return Err(ApiError::NotFound(format!("attempt {attempt} of {id} did not run on {}", shared.node())));
        }
        return proxy::send(&shared, &node, &caller, request).await;
    }
    let run = RunId { kind: job.kind, job: id.clone(), attempt };
    let read = jobs::read_log(&shared.jobs.machine, &run, which.lines.unwrap_or(100), which.after.as_deref()).await;
    let read = read.map_err(ApiError::Internal)?;
    let ended = job.run().as_ref() != Some(&run);
    let cursor = if read.cursor.is_empty() { which.after.unwrap_or_default() } else { read.cursor };
    let log = JobLog { success: true, job_id: id, attempt, node_id: node, lines: read.lines, cursor, ended };
    Ok(Json(log).into_response())
}

/// What a node says of the jobs that it was given.
#[utoipa::path(post, path = "/api/jobs/report", tag = "jobs", request_body = JobReports,
    responses((status = 200, body = ReportTaken), (status = 400), (status = 401), (status = 503)))]
pub(crate) async fn report(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<ReportTaken>, ApiError> {
    let reports: JobReports = json(&body)?;
    // A node speaks for itself; whoever holds the token could speak for any.
    let sender = caller.forwarded_by.as_ref().unwrap_or(shared.node());
    if *sender != reports.node {
        return Err(ApiError::BadRequest(format!("{sender} cannot report what {} does", reports.node)));
    }
    for net in reports.nets.iter().take(32) {
        let event = NewEvent::new(kind::JOB_SAFETY_NET, format!("{}: {}", reports.node, net.message), epoch_ms())
            .about(&reports.node)
            .with("net", net.net.as_str());
        shared.propose(Command::Record { event }).await?;
    }
    let changes = report::changes(&shared.agreement.agreed().state.jobs, &reports);
    let count = changes.len() as u32;
    if count > 0 {
        shared.propose(Command::ChangeJobs { changes, at_ms: epoch_ms() }).await?;
        shared.note_change();
    }
    Ok(Json(ReportTaken { success: true, changes: count }))
}

fn named(shared: &Shared, id: &str) -> Result<(JobId, std::sync::Arc<Job>), ApiError> {
    let id: JobId = id.parse().map_err(|error: ringrift_job::InvalidName| ApiError::BadRequest(error.to_string()))?;
    known(shared, &id)
}

pub(super) fn known(shared: &Shared, id: &JobId) -> Result<(JobId, std::sync::Arc<Job>), ApiError> {
    let job = shared.agreement.agreed().state.jobs.get(id).cloned();
    let job = job.ok_or_else(|| {
        ApiError::NotFound(format!(
            "there is no job {id}, or it ended long ago: `ringriftctl jobs list --all` shows them"
        ))
    })?;
    Ok((id.clone(), job))
}
