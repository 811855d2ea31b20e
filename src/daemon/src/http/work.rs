//! The work queue, as programs of the old cluster use it: they add work, and some come and take it.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use bytes::Bytes;
use ringrift_api::{
    ClaimAnswer, ClaimRequest, JobStatus, WorkAdd, WorkAddBatch, WorkAdded, WorkBatchAdded, WorkChange, WorkChanged,
    WorkStatus,
};
use ringrift_config::NodeId;
use ringrift_job::{Ending, How, Kind, Usage};
use ringrift_schedule::Claim;
use ringrift_state::{Command, Holder, Job, JobChange};
use serde_json::Value;

use super::{
    auth::Caller,
    error::ApiError,
    jobs::{cancelled, known, propose_new},
    operations::json,
};
use crate::{
    jobs,
    node::Shared,
    view::{self, Items, epoch_ms},
};

/// The most items of one batch.
const MAX_BATCH: usize = 100;

/// Adds an item.
#[utoipa::path(post, path = "/work/add", tag = "work", request_body = WorkAdd,
    responses((status = 200, body = WorkAdded), (status = 400), (status = 401), (status = 429), (status = 503)))]
pub(crate) async fn add(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<WorkAdded>, ApiError> {
    let new = jobs::from_work(&shared.settings(), json(&body)?, &asker(&shared, &caller))?;
    let added = WorkAdded {
        success: true,
        job_id: new.id.clone(),
        status: "added".to_owned(),
        work_id: new.id.clone(),
        work_type: new.class.to_string(),
        priority: new.priority,
    };
    propose_new(&shared, vec![new]).await?;
    Ok(Json(added))
}

/// Adds up to 100 items. Those that are wrong are named, and the others are added: all of these or, if the queue is full, none.
#[utoipa::path(post, path = "/work/add_batch", tag = "work", request_body = WorkAddBatch,
    responses((status = 200, body = WorkBatchAdded), (status = 400), (status = 401), (status = 429), (status = 503)))]
pub(crate) async fn add_batch(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<WorkBatchAdded>, ApiError> {
    let batch: WorkAddBatch = json(&body)?;
    if batch.items.len() > MAX_BATCH {
        return Err(ApiError::BadRequest(format!(
            "a batch has {} items: expected at most {MAX_BATCH}",
            batch.items.len()
        )));
    }
    let by = asker(&shared, &caller);
    let (mut new, mut errors) = (Vec::new(), Vec::new());
    let settings = shared.settings();
    for (at, item) in batch.items.into_iter().enumerate() {
        match jobs::from_work(&settings, item, &by) {
            Ok(job) => new.push(job),
            Err(error) => errors.push(format!("item {at}: {error}")),
        }
    }
    let work_ids: Vec<_> = new.iter().map(|job| job.id.clone()).collect();
    if !new.is_empty() {
        propose_new(&shared, new).await?;
    }
    Ok(Json(WorkBatchAdded { success: errors.is_empty(), count: work_ids.len() as u32, work_ids, errors }))
}

fn asker(shared: &Shared, caller: &Caller) -> String {
    format!("a client of {}", caller.forwarded_by.as_ref().unwrap_or(shared.node()))
}

/// Takes the next item that the worker can do: it then has it until it says how it ended, or until its time is up.
#[utoipa::path(get, path = "/work/claim", tag = "work",
    params(("node_id" = String, Query, description = "the worker"),
        ("capabilities" = Option<String>, Query, description = "classes or kinds that it can do, with commas between them")),
    responses((status = 200, body = ClaimAnswer), (status = 401), (status = 503)))]
pub(crate) async fn claim_by_query(
    State(shared): State<Shared>,
    Query(request): Query<ClaimRequest>,
) -> Result<Json<ClaimAnswer>, ApiError> {
    claimed(&shared, &request).await.map(Json)
}

/// The same with a body.
#[utoipa::path(post, path = "/work/claim", tag = "work", request_body = ClaimRequest,
    responses((status = 200, body = ClaimAnswer), (status = 401), (status = 503)))]
pub(crate) async fn claim(
    State(shared): State<Shared>,
    Query(query): Query<ClaimRequest>,
    body: Bytes,
) -> Result<Json<ClaimAnswer>, ApiError> {
    let request = if body.is_empty() { query } else { json(&body)? };
    claimed(&shared, &request).await.map(Json)
}

async fn claimed(shared: &Shared, request: &ClaimRequest) -> Result<ClaimAnswer, ApiError> {
    if request.node_id.is_empty() || request.node_id.len() > Job::MAX_BY {
        return Err(ApiError::BadRequest(format!("node_id names the worker, in 1 to {} bytes", Job::MAX_BY)));
    }
    let none = || ClaimAnswer { status: "no_work_available".to_owned(), work: None };
    let Some(claim) = to_claim(shared, request) else { return Ok(none()) };
    let Some(change) = shared.decide(|scheduler, now, view| scheduler.claim(now, view, &claim))? else {
        return Ok(none());
    };
    let id = change.job().clone();
    shared.propose(Command::ChangeJobs { changes: vec![change], at_ms: epoch_ms() }).await?;
    let (_, job) = known(shared, &id)?;
    // Somebody else may have been given it in the same moment.
    let is_its = matches!(job.holder(), Some(Holder::Pull { worker, .. }) if *worker == claim.worker);
    if !is_its {
        return Ok(none());
    }
    Ok(ClaimAnswer { status: "claimed".to_owned(), work: Some(view::job(&job)) })
}

/// What a worker can do: names of classes, and of kinds. Of what is neither there is no work, so a worker that names nothing else gets
/// none; one that names nothing at all takes any.
fn to_claim(shared: &Shared, request: &ClaimRequest) -> Option<Claim> {
    let words: Vec<String> = match &request.capabilities {
        Value::String(text) => {
            text.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
        }
        Value::Array(items) => items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    };
    let settings = shared.settings();
    let known = &settings.job_classes;
    let (mut kinds, mut classes) = (BTreeSet::new(), BTreeSet::new());
    for word in &words {
        // `selfplay` is both: the kind says more.
        if let Ok(kind) = word.parse::<Kind>() {
            kinds.insert(kind);
        } else if let Some(class) = known.get(word) {
            classes.insert(class.name.clone());
        }
    }
    if !words.is_empty() && kinds.is_empty() && classes.is_empty() {
        return None;
    }
    let node: Option<NodeId> = request.node_id.parse().ok().filter(|node| shared.knows(node));
    if !classes.is_empty() && !kinds.is_empty() {
        let of_kinds = known.iter().filter(|class| kinds.contains(&class.kind));
        classes.extend(of_kinds.map(|class| class.name.clone()));
        kinds.clear();
    }
    Some(Claim { worker: request.node_id.clone(), node, kinds, classes })
}

/// The worker has begun.
#[utoipa::path(post, path = "/work/start", tag = "work", request_body = WorkChange,
    responses((status = 200, body = WorkChanged), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn start(State(shared): State<Shared>, body: Bytes) -> Result<Json<WorkChanged>, ApiError> {
    let started = |job: &Job| JobChange::Started { job: job.id.clone(), attempt: job.attempt, since_ms: epoch_ms() };
    changed(&shared, &json(&body)?, "started", started).await
}

/// The worker has done it.
#[utoipa::path(post, path = "/work/complete", tag = "work", request_body = WorkChange,
    responses((status = 200, body = WorkChanged), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn complete(State(shared): State<Shared>, body: Bytes) -> Result<Json<WorkChanged>, ApiError> {
    changed(&shared, &json(&body)?, "completed", |job| ended(job, How::Exited { code: 0 })).await
}

/// The worker could not do it. It is tried again, as often as its class says.
#[utoipa::path(post, path = "/work/fail", tag = "work", request_body = WorkChange,
    responses((status = 200, body = WorkChanged), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn fail(State(shared): State<Shared>, body: Bytes) -> Result<Json<WorkChanged>, ApiError> {
    changed(&shared, &json(&body)?, "failed", |job| ended(job, How::Exited { code: 1 })).await
}

/// Nobody wants it any more.
#[utoipa::path(post, path = "/work/cancel", tag = "work", request_body = WorkChange,
    responses((status = 200, body = WorkChanged), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn cancel(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<WorkChanged>, ApiError> {
    let WorkChange { work_id, .. } = json(&body)?;
    known(&shared, &work_id)?;
    let cancelled = cancelled(&shared, work_id.clone(), &caller).await?;
    let over = matches!(cancelled.status, JobStatus::Completed | JobStatus::Failed | JobStatus::Timeout);
    Ok(Json(WorkChanged { status: if over { "unchanged" } else { "cancelled" }.to_owned(), work_id }))
}

fn ended(job: &Job, how: How) -> JobChange {
    let ran_ms = match &job.phase {
        ringrift_state::Phase::Running { since_ms, .. } => epoch_ms().saturating_sub(*since_ms),
        _ => 0,
    };
    JobChange::Ended {
        job: job.id.clone(),
        attempt: job.attempt,
        ending: Ending { how, ran_ms, usage: Usage::default() },
    }
}

/// What the worker that has an item says of it. A late word of another one changes nothing.
async fn changed(
    shared: &Shared,
    request: &WorkChange,
    done: &str,
    change: impl Fn(&Job) -> JobChange,
) -> Result<Json<WorkChanged>, ApiError> {
    let (id, job) = known(shared, &request.work_id)?;
    let is_its = match job.holder() {
        Some(Holder::Pull { worker, .. }) => request.node_id.as_ref().is_none_or(|named| named == worker),
        // What a daemon runs, that daemon reports.
        Some(Holder::Node(_)) | None => false,
    };
    let unchanged = Json(WorkChanged { status: "unchanged".to_owned(), work_id: id.clone() });
    if !is_its || request.attempt.is_some_and(|attempt| attempt != job.attempt) {
        return Ok(unchanged);
    }
    let outcome = shared.propose(Command::ChangeJobs { changes: vec![change(&job)], at_ms: epoch_ms() }).await?.outcome;
    match outcome {
        ringrift_state::Outcome::Done => Ok(Json(WorkChanged { status: done.to_owned(), work_id: id })),
        _ => Ok(unchanged),
    }
}

/// What waits and what was given to somebody.
#[utoipa::path(get, path = "/work/status", tag = "work", responses((status = 200, body = WorkStatus)))]
pub(crate) async fn status(State(shared): State<Shared>) -> Json<WorkStatus> {
    Json(view::work_status(&shared.picture(), &Items::All))
}

/// What is over, the last first.
#[utoipa::path(get, path = "/work/history", tag = "work", responses((status = 200, body = WorkStatus)))]
pub(crate) async fn history(State(shared): State<Shared>) -> Json<WorkStatus> {
    Json(view::work_status(&shared.picture(), &Items::History))
}

/// What a node has.
#[utoipa::path(get, path = "/work/node/{id}", tag = "work", params(("id" = String, Path)),
    responses((status = 200, body = WorkStatus), (status = 400)))]
pub(crate) async fn of_node(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<WorkStatus>, ApiError> {
    let node: NodeId = id.parse().map_err(|e: ringrift_config::InvalidNodeId| ApiError::BadRequest(e.to_string()))?;
    Ok(Json(view::work_status(&shared.picture(), &Items::OfNode(&node))))
}
