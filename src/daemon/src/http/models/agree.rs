//! What is agreed on: promotion, rollback, removal. Answered by the leader, but for the promotion, whose bytes are here.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use bytes::Bytes;
use ringrift_api::{ModelChanged, ModelRemoved, PromoteRequest, RemoveRequest, RollbackRequest};
use ringrift_blob::{Digest, ModelName};
use ringrift_state::{Command, ModelRecord, Outcome};

use super::{json, unknown};
use crate::{
    http::error::ApiError,
    models::{self, CommitModel, Noted, SetAside, Wish},
    node::Shared,
    view::epoch_ms,
};

/// Makes bytes that the asked node holds the model of a name.
#[utoipa::path(post, path = "/api/models/promote", tag = "models", request_body = PromoteRequest,
    responses((status = 200, body = ModelChanged), (status = 401), (status = 404), (status = 409), (status = 503)))]
pub(crate) async fn promote(State(shared): State<Shared>, body: Bytes) -> Result<Json<ModelChanged>, ApiError> {
    let request: PromoteRequest = json(&body)?;
    let name = request.model().map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let by = request.by.unwrap_or_default();
    let wish = Wish { name, sha256: request.sha256, elo: request.elo, by, force: request.force, over: None };
    models::promote(&shared, wish).await.map(Json)
}

/// What a node that holds the bytes asks of the leader.
#[utoipa::path(post, path = "/api/models/commit", tag = "models", request_body = CommitModel,
    responses((status = 200, body = ModelChanged), (status = 401), (status = 409), (status = 503)))]
pub(crate) async fn commit(State(shared): State<Shared>, body: Bytes) -> Result<Json<ModelChanged>, ApiError> {
    models::commit(&shared, json(&body)?).await.map(Json)
}

/// Makes an earlier version current again. Nodes that kept its bytes fetch nothing.
#[utoipa::path(post, path = "/api/models/rollback", tag = "models", request_body = RollbackRequest,
    responses((status = 200, body = ModelChanged), (status = 401), (status = 404), (status = 409), (status = 503)))]
pub(crate) async fn rollback(State(shared): State<Shared>, body: Bytes) -> Result<Json<ModelChanged>, ApiError> {
    let request: RollbackRequest = json(&body)?;
    let name = request.model().map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let agreed = shared.agreement.agreed();
    let record = agreed.state.models.get(&name).ok_or_else(|| unknown(&name))?;
    let sha256 = earlier(&name, record, request.to.as_deref())?;
    let by = request.by.unwrap_or_default();
    let command = Command::RollBackModel { name: name.clone(), sha256, by, at_ms: epoch_ms() };
    models::change(&shared, &name, command).await.map(Json)
}

/// So many digits of a digest name a version.
const ENOUGH: usize = 8;

/// The version that the first digits of its digest name; without them, the one before the current one.
fn earlier(name: &ModelName, record: &ModelRecord, digits: Option<&str>) -> Result<Digest, ApiError> {
    let Some(digits) = digits else {
        let before = record.earlier().next().map(|promotion| promotion.sha256);
        return before.ok_or_else(|| ApiError::Refused(format!("{name} has no earlier version")));
    };
    if digits.len() < ENOUGH {
        return Err(ApiError::BadRequest(format!("{digits:?}: give at least {ENOUGH} digits of the digest")));
    }
    let digits = digits.to_ascii_lowercase();
    let all = std::iter::once(&record.current).chain(record.earlier());
    let found: BTreeSet<Digest> =
        all.map(|promotion| promotion.sha256).filter(|sha256| sha256.to_string().starts_with(&digits)).collect();
    match (found.first(), found.len()) {
        (Some(sha256), 1) => Ok(*sha256),
        (None, _) => {
            Err(ApiError::NotFound(format!("no version of {name} begins with {digits}, as far as its history goes")))
        }
        (Some(_), n) => {
            Err(ApiError::BadRequest(format!("{n} versions of {name} begin with {digits}: give more digits")))
        }
    }
}

/// Takes a name away on every node.
#[utoipa::path(post, path = "/api/models/remove", tag = "models", request_body = RemoveRequest,
    responses((status = 200, body = ModelRemoved), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn remove(State(shared): State<Shared>, body: Bytes) -> Result<Json<ModelRemoved>, ApiError> {
    let request: RemoveRequest = json(&body)?;
    let name = request.model().map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let agreed = shared.agreement.agreed();
    let sha256 = agreed.state.models.get(&name).ok_or_else(|| unknown(&name))?.current.sha256;
    let by = request.by.unwrap_or_default();
    let committed = shared.propose(Command::RemoveModel { name: name.clone(), by, at_ms: epoch_ms() }).await?;
    if let Outcome::Refused { reason } = committed.outcome {
        return Err(ApiError::NotFound(reason));
    }
    let message = format!("{name} is no model any more; every node takes its file away");
    Ok(Json(ModelRemoved { success: true, name, sha256, generation: committed.index, message }))
}

/// What a node tells that moved a file out of the way of a model.
#[utoipa::path(post, path = "/api/models/set-aside", tag = "models", request_body = SetAside,
    responses((status = 200, body = Noted), (status = 401), (status = 409), (status = 503)))]
pub(crate) async fn set_aside(State(shared): State<Shared>, body: Bytes) -> Result<Json<Noted>, ApiError> {
    models::record_set_aside(&shared, &json(&body)?).await.map(Json)
}
