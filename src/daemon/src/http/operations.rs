//! What an operator does to the cluster: leadership, voters, snapshots, reload.

use std::collections::BTreeSet;

use axum::{Json, extract::State, response::Response};
use bytes::Bytes;
use http::StatusCode;
use ringrift_api::{LeaderTransferred, Reloaded, SnapshotRestored, TransferRequest, VoterChange};
use ringrift_config::NodeId;
use ringrift_consensus::TransferError;
use ringrift_state::{Agreed, Command, Outcome, envelope};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{auth::Caller, error::ApiError, read};
use crate::{node::Shared, reload, view::epoch_ms, voters};

/// The body as JSON; an empty one stands for a request without options.
pub(super) fn optional_json<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    json(body)
}

/// The body as JSON.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|e| ApiError::BadRequest(format!("the body is not what this route takes: {e}")))
}

/// Hands the leadership to another voter.
#[utoipa::path(post, path = "/api/leader/transfer", tag = "cluster", request_body = TransferRequest,
    responses((status = 200, body = LeaderTransferred), (status = 401), (status = 409), (status = 503)))]
pub(crate) async fn transfer(State(shared): State<Shared>, body: Bytes) -> Result<Json<LeaderTransferred>, ApiError> {
    let request: TransferRequest = optional_json(&body)?;
    let (consensus, _) =
        shared.agreement.voting().ok_or_else(|| ApiError::NoLeader("this node does not vote".into()))?;
    let leader_id = consensus.transfer(request.to).await.map_err(|error| match error {
        TransferError::NotAVoter { .. } => ApiError::BadRequest(error.to_string()),
        TransferError::NobodyReady { .. } | TransferError::NotReady { .. } => ApiError::Refused(error.to_string()),
        TransferError::Timeout { .. } => ApiError::Timeout(error.to_string()),
        TransferError::Propose(inner) => inner.into(),
    })?;
    shared.forget_snapshot();
    let term = shared.agreement.leadership().term;
    let message = format!("{leader_id} leads now, {} does not any more", shared.node());
    Ok(Json(LeaderTransferred { success: true, from: shared.node().clone(), leader_id, term, message }))
}

/// Reads this node's hosts file again.
#[utoipa::path(post, path = "/api/reload", tag = "cluster",
    responses((status = 200, body = Reloaded), (status = 401), (status = 409)))]
pub(crate) async fn reload(State(shared): State<Shared>) -> Result<Json<Reloaded>, ApiError> {
    reload::reload(&shared).await.map(Json)
}

/// A voter list to be put in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdoptVoters {
    /// The voters, as the hosts file names them.
    #[schema(value_type = Vec<String>)]
    pub(crate) voters: Vec<NodeId>,
    /// SHA-256 of that file.
    #[serde(default)]
    pub(crate) revision: String,
    /// Bring a list back that was replaced before.
    #[serde(default)]
    pub(crate) explicit: bool,
}

/// Changes the voters, without losing a quorum on the way.
#[utoipa::path(post, path = "/api/voters/adopt", tag = "cluster", request_body = AdoptVoters,
    responses((status = 200, body = VoterChange), (status = 401), (status = 409), (status = 503)))]
pub(crate) async fn adopt_voters(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<VoterChange>, ApiError> {
    let request: AdoptVoters = serde_json::from_slice(&body)
        .map_err(|e| ApiError::BadRequest(format!("the body is not what this route takes: {e}")))?;
    let by = caller.forwarded_by.map_or_else(|| shared.node().to_string(), |node| node.to_string());
    voters::adopt(&shared, &request, &by).await.map(Json)
}

/// The agreed state, as a file that `restore` takes.
#[utoipa::path(get, path = "/api/snapshot", tag = "cluster",
    responses((status = 200, content_type = "application/octet-stream"), (status = 401), (status = 503)))]
pub(crate) async fn save_snapshot(State(shared): State<Shared>) -> Result<Response, ApiError> {
    // Nothing that was acknowledged before this request may be missing.
    shared.read_barrier().await?;
    let bytes = envelope::seal(&*shared.agreement.agreed())
        .map_err(|e| ApiError::Internal(format!("cannot write the snapshot: {e}")))?;
    Ok(read::body(StatusCode::OK, "application/octet-stream", bytes.into()))
}

/// Puts a saved state in the place of the present one; voters and event numbers stay.
#[utoipa::path(post, path = "/api/snapshot/restore", tag = "cluster",
    responses((status = 200, body = SnapshotRestored), (status = 400), (status = 401), (status = 503)))]
pub(crate) async fn restore_snapshot(
    State(shared): State<Shared>,
    caller: Caller,
    body: Bytes,
) -> Result<Json<SnapshotRestored>, ApiError> {
    let saved: Agreed =
        envelope::open(&body).map_err(|e| ApiError::BadRequest(format!("not a usable snapshot: {e}")))?;
    let by = caller.forwarded_by.map_or_else(|| shared.node().to_string(), |node| node.to_string());
    let source = format!("the snapshot of index {} (term {}) of cluster {}", saved.index, saved.term, saved.cluster_id);
    let state = Box::new(saved.state.for_restore());
    let command = Command::Restore { state, source: source.clone(), by, at_ms: epoch_ms() };
    let committed = shared.propose(command).await?;
    match committed.outcome {
        Outcome::Refused { reason } => Err(ApiError::Refused(reason)),
        Outcome::Done | Outcome::Unchanged | Outcome::Duplicate => {
            Ok(Json(SnapshotRestored { success: true, index: committed.index, message: format!("restored {source}") }))
        }
    }
}

/// The voters that a request names, without order.
pub(crate) fn set(voters: &[NodeId]) -> BTreeSet<NodeId> {
    voters.iter().cloned().collect()
}
