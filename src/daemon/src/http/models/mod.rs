//! Models: what every node shall have, what it has, and the requests about it.

pub(crate) mod agree;
pub(crate) mod distribute;
pub(crate) mod here;

use axum::{
    Json,
    extract::{Query, State},
};
use ringrift_api::{ClusterManifest, ModelList, ModelsProgress};
use ringrift_blob::ModelName;
use serde::Deserialize;

use super::{error::ApiError, operations::json};
use crate::{node::Shared, view};

/// Every promoted model, and how far it got.
#[utoipa::path(get, path = "/api/models", tag = "models", responses((status = 200, body = ModelList)))]
pub(crate) async fn list(State(shared): State<Shared>) -> Json<ModelList> {
    Json(view::model_list(&shared.picture()))
}

/// Which node holds which file, of what size and digest, verified when.
#[utoipa::path(get, path = "/api/models/manifest", tag = "models", responses((status = 200, body = ClusterManifest)))]
pub(crate) async fn manifest(State(shared): State<Shared>) -> Json<ClusterManifest> {
    Json(view::manifest(&shared.picture()))
}

/// Which models to tell about.
#[derive(Debug, Deserialize)]
pub(crate) struct OfModel {
    model: Option<ModelName>,
}

/// How far each model is on each node.
#[utoipa::path(get, path = "/api/models/progress", tag = "models",
    params(("model" = Option<String>, Query, description = "only this one")),
    responses((status = 200, body = ModelsProgress)))]
pub(crate) async fn progress(State(shared): State<Shared>, Query(of): Query<OfModel>) -> Json<ModelsProgress> {
    Json(view::models_progress(&shared.picture(), of.model.as_ref()))
}

fn unknown(name: &ModelName) -> ApiError {
    ApiError::NotFound(format!("no model {name} was promoted: `ringriftctl models list` shows those that were"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| ApiError::Internal(e.to_string()))
}
