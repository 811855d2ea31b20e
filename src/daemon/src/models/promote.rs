//! Bytes that this node holds become everybody's model.

use std::time::Duration;

use http::Method;
use ringrift_api::ModelChanged;
use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_state::{Command, Elo, ModelRecord, Outcome};
use ringrift_store::StoreError;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ask::ask, http::error::ApiError, node::Shared, view::epoch_ms};

/// Time for the leader to be found and to have it agreed on.
const COMMIT_WITHIN: Duration = Duration::from_secs(20);

/// What shall be promoted.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) name: ModelName,
    pub(crate) sha256: Digest,
    pub(crate) elo: Option<f64>,
    pub(crate) by: String,
    pub(crate) force: bool,
    /// Only in the place of this decision on the name, which its bytes were made over.
    pub(crate) over: Option<u64>,
}

/// Body of `POST /api/models/commit`: what a node that holds the bytes asks of the leader.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommitModel {
    /// The model's file name.
    #[schema(value_type = String)]
    name: ModelName,
    /// Size, digest, chunk size and the digests of the chunks without gaps between them.
    #[schema(value_type = Object)]
    blob: Blob,
    /// Its rating, if somebody measured it.
    elo: Option<f64>,
    /// The node that holds the bytes.
    #[schema(value_type = String)]
    source: NodeId,
    /// Who asks.
    by: String,
    /// Also when they are current already.
    force: bool,
    /// Only in the place of the decision of this number on the name; 0 for none.
    #[serde(default)]
    over: Option<u64>,
}

/// Has bytes of this node's store agreed on as a model.
pub(crate) async fn promote(shared: &Shared, wish: Wish) -> Result<ModelChanged, ApiError> {
    let Wish { name, sha256, elo, by, force, over } = wish;
    let models = shared.models()?;
    let store = models.store.clone();
    let blob = tokio::task::spawn_blocking(move || store.object(&sha256).and_then(|_| store.blob(&sha256)))
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    let Some(blob) = blob else {
        return Err(ApiError::NotFound(format!(
            "{} does not hold {sha256}: upload the file first (POST /models/upload on the models port, or `ringriftctl models promote`)",
            shared.node()
        )));
    };
    let source = shared.node().clone();
    let body = CommitModel { name, blob, elo, source, by, force, over };
    ask(shared, Method::POST, "/api/models/commit", &body, COMMIT_WITHIN).await
}

/// On the leader: proposes it.
pub(crate) async fn commit(shared: &Shared, request: CommitModel) -> Result<ModelChanged, ApiError> {
    let CommitModel { name, blob, elo, source, by, force, over } = request;
    if ringrift_store::is_reserved(&name) {
        return Err(ApiError::BadRequest(StoreError::ReservedName(name).to_string()));
    }
    let elo = elo.map(Elo::try_from).transpose().map_err(|e| ApiError::BadRequest(e.to_string()))?;
    blob.check().map_err(|e| ApiError::BadRequest(e.to_string()))?;
    let command = Command::PromoteModel { name: name.clone(), blob, elo, source, by, force, over, at_ms: epoch_ms() };
    change(shared, &name, command).await
}

/// Proposes a change of what is current, and says what is current then.
pub(crate) async fn change(shared: &Shared, name: &ModelName, command: Command) -> Result<ModelChanged, ApiError> {
    let changed = match shared.propose(command).await?.outcome {
        Outcome::Done => true,
        Outcome::Unchanged | Outcome::Duplicate => false,
        Outcome::Refused { reason } => return Err(ApiError::Refused(reason)),
    };
    let agreed = shared.agreement.agreed();
    let record: &ModelRecord = agreed
        .state
        .models
        .get(name)
        .ok_or_else(|| ApiError::Internal(format!("{name} was promoted, and is not among the models")))?;
    let sha256 = record.current.sha256;
    let message = if changed { format!("{name} is now {sha256}") } else { format!("{name} is {sha256} already") };
    Ok(ModelChanged {
        success: true,
        name: name.clone(),
        sha256,
        size: record.current.size,
        generation: record.current.generation,
        distribution_generation: record.distribution.generation,
        changed,
        message,
    })
}
