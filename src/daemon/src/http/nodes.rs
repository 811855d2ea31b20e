//! Nodes and whether they are given work.

use axum::{
    Json,
    extract::{OriginalUri, Path, State},
};
use bytes::Bytes;
use ringrift_api::{CordonRequest, EligibilityChanged, EligibilityState, NodeList};
use ringrift_config::NodeId;
use ringrift_state::{Command, Eligibility, Outcome};
use serde::{Deserialize, de::value::StrDeserializer};
use utoipa::ToSchema;

use super::error::ApiError;
use crate::{
    node::Shared,
    view::{self, epoch_ms},
};

/// Every node, alive or not, with its eligibility.
#[utoipa::path(get, path = "/api/nodes", tag = "nodes", responses((status = 200, body = NodeList)))]
pub(crate) async fn list(State(shared): State<Shared>) -> Json<NodeList> {
    Json(view::node_list(&shared.picture()))
}

/// What is done to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Deed {
    /// It gets no new work.
    Cordon,
    /// It gets work again.
    Uncordon,
    /// It gets no new work, and what it has is moved away.
    Drain,
}

impl Deed {
    fn eligibility(self) -> Eligibility {
        match self {
            Self::Cordon => Eligibility::Cordoned,
            Self::Uncordon => Eligibility::Eligible,
            Self::Drain => Eligibility::Draining,
        }
    }
}

/// Whether a node is given work: cordon, uncordon, drain.
#[utoipa::path(post, path = "/api/nodes/{node}/{deed}", tag = "nodes",
    params(("node" = String, Path), ("deed" = Deed, Path)), request_body = CordonRequest,
    responses((status = 200, body = EligibilityChanged), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn set_eligibility(
    State(shared): State<Shared>,
    Path((node, deed)): Path<(String, String)>,
    uri: OriginalUri,
    body: Bytes,
) -> Result<Json<EligibilityChanged>, ApiError> {
    let deed = Deed::deserialize(StrDeserializer::<serde::de::value::Error>::new(&deed));
    let Ok(deed) = deed else { return Err(super::not_found(uri).await) };
    let eligibility = deed.eligibility();
    let node: NodeId = node.parse().map_err(|e: ringrift_config::InvalidNodeId| ApiError::BadRequest(e.to_string()))?;
    let request: CordonRequest = super::operations::optional_json(&body)?;
    // A node that is gone from the file may still have to be uncordoned.
    let recorded = shared.agreement.agreed().state.eligibility.contains_key(&node);
    if !shared.knows(&node) && !recorded {
        return Err(ApiError::NotFound(format!("no node is called {node}: `ringriftctl nodes list` shows them")));
    }
    let command = Command::SetEligibility {
        node: node.clone(),
        eligibility,
        by: request.by.unwrap_or_default(),
        reason: request.reason.unwrap_or_default(),
        at_ms: epoch_ms(),
    };
    let changed = match shared.propose(command).await?.outcome {
        Outcome::Done => true,
        Outcome::Unchanged | Outcome::Duplicate => false,
        Outcome::Refused { reason } => return Err(ApiError::Refused(reason)),
    };
    let (state, now) = match eligibility {
        Eligibility::Eligible => (EligibilityState::Eligible, "gets work"),
        Eligibility::Cordoned => (EligibilityState::Cordoned, "gets no new work"),
        Eligibility::Draining => (EligibilityState::Draining, "gets no new work, and what runs there is moved away"),
    };
    let already = if changed { "" } else { ", as before" };
    let message = format!("{node} {now}{already}");
    Ok(Json(EligibilityChanged { success: true, node_id: node, state, changed, message }))
}
