//! `GET /api/openapi.json`: the API described from the types that it is made of.

use std::sync::OnceLock;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use utoipa::OpenApi;

use super::{error::ApiError, read};

#[derive(OpenApi)]
#[openapi(
    info(title = "ringrift-p2p", description = "The control plane of a self-play training cluster"),
    paths(
        read::status,
        read::cluster_status,
        read::health,
        read::ready,
        read::metrics,
        read::voters,
        super::events::events,
        super::nodes::list,
        super::nodes::cordon,
        super::nodes::uncordon,
        super::nodes::drain,
        super::operations::transfer,
        super::operations::adopt_voters,
        super::operations::save_snapshot,
        super::operations::restore_snapshot,
        super::operations::reload,
    ),
    components(schemas(ringrift_api::ErrorBody))
)]
struct Document;

/// The description; made once.
pub(crate) async fn document() -> Result<Response, ApiError> {
    static JSON: OnceLock<Option<Bytes>> = OnceLock::new();
    let json = JSON.get_or_init(|| Document::openapi().to_json().ok().map(Bytes::from));
    let json = json.clone().ok_or_else(|| ApiError::Internal("cannot write the description".into()))?;
    Ok(read::body(StatusCode::OK, "application/json", json))
}
