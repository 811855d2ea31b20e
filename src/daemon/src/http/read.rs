//! The routes that only tell. All of them read the snapshot.

use axum::{
    Json,
    body::Body,
    extract::{Query, State},
    response::Response,
};
use bytes::Bytes;
use http::{StatusCode, header};
use ringrift_api::{ClusterStatus, Health, Status, VotersReport};
use serde::Deserialize;

use super::error::ApiError;
use crate::{
    node::Shared,
    view::{self, metrics as exposition},
};

/// The query of `/status`. `include_stale_jobs` and `no_cache` are taken and change nothing: no job here is stale, and the
/// snapshot is never older than half a second.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StatusQuery {
    alive_only: Option<String>,
}

/// What Python clients send for a boolean.
pub(super) fn is_false(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off")
}

/// This node, its leader and every node that it knows.
#[utoipa::path(get, path = "/status", tag = "cluster",
    params(("alive_only" = Option<bool>, Query, description = "leave the dead out of `peers`; true by default")),
    responses((status = 200, body = Status)))]
pub(crate) async fn status(State(shared): State<Shared>, Query(query): Query<StatusQuery>) -> Response {
    let alive_only = !query.alive_only.as_deref().is_some_and(is_false);
    json(StatusCode::OK, shared.snapshot().status_json(alive_only))
}

/// The cluster in the older shape: the peers as a list.
#[utoipa::path(get, path = "/api/cluster/status", tag = "cluster", responses((status = 200, body = ClusterStatus)))]
pub(crate) async fn cluster_status(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, shared.snapshot().cluster_json())
}

/// Whether this node is well. Always 200 while it can answer: `healthy` says the rest, and old clients read it so.
#[utoipa::path(get, path = "/health", tag = "health", responses((status = 200, body = Health)))]
pub(crate) async fn health(State(shared): State<Shared>) -> Response {
    json(StatusCode::OK, shared.snapshot().health_json())
}

/// 200 when the node serves, 503 before.
#[utoipa::path(get, path = "/ready", tag = "health", responses((status = 200), (status = 503)))]
pub(crate) async fn ready(State(shared): State<Shared>) -> Result<Json<serde_json::Value>, ApiError> {
    if shared.stopping() {
        return Err(ApiError::Overloaded("this node is stopping".into()));
    }
    if !shared.is_ready() {
        return Err(ApiError::Overloaded("this node is starting".into()));
    }
    Ok(Json(serde_json::json!({ "ready": true, "node_id": shared.node() })))
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(crate) async fn metrics(State(shared): State<Shared>) -> Result<Response, ApiError> {
    let text = exposition::text(&shared.picture(), &shared.snapshot())
        .map_err(|e| ApiError::Internal(format!("cannot write the metrics: {e}")))?;
    Ok(body(StatusCode::OK, exposition::CONTENT_TYPE, text.into()))
}

/// The voters and the quorum.
#[utoipa::path(get, path = "/api/voters", tag = "cluster", responses((status = 200, body = VotersReport)))]
pub(crate) async fn voters(State(shared): State<Shared>) -> Json<VotersReport> {
    let raft = shared.agreement.consensus().map(|c| c.status().borrow().clone());
    Json(view::voters_report(&shared.picture(), raft.as_ref()))
}

pub(super) fn json(status: StatusCode, bytes: Bytes) -> Response {
    body(status, "application/json", bytes)
}

/// An answer from bytes that are shared with every other request of the same half second.
pub(super) fn body(status: StatusCode, content_type: &'static str, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
