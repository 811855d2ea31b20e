//! The HTTP API on 8770, and the health endpoint on 8080.

pub(crate) mod auth;
pub(crate) mod error;
mod events;
mod nodes;
mod openapi;
pub(crate) mod operations;
mod proxy;
mod read;
pub(crate) mod server;

use axum::{
    Router,
    extract::{DefaultBodyLimit, OriginalUri},
    middleware::{from_fn, from_fn_with_state, map_response_with_state},
    routing::{any, get, post},
};
use http::Method;

use self::error::ApiError;
use crate::node::Shared;

/// Largest snapshot that is taken back, in bytes. The agreed state is bounded far below.
const MAX_SNAPSHOT: usize = 64 << 20;

/// Every route of the API, for clients and for other nodes alike.
pub(crate) fn api(shared: &Shared) -> Router {
    let leader_only = || from_fn_with_state(shared.clone(), proxy::leader_only);
    // Answered by the leader, wherever they are asked; the token is checked first, where the caller is.
    let at_leader = Router::new()
        .route("/api/nodes/{node}/cordon", post(nodes::cordon))
        .route("/api/nodes/{node}/uncordon", post(nodes::uncordon))
        .route("/api/nodes/{node}/drain", post(nodes::drain))
        .route("/api/leader/transfer", post(operations::transfer))
        .route("/api/voters/adopt", post(operations::adopt_voters))
        .route("/api/snapshot", get(operations::save_snapshot))
        .route(
            "/api/snapshot/restore",
            post(operations::restore_snapshot)
                .layer(DefaultBodyLimit::max(MAX_SNAPSHOT))
                .layer(map_response_with_state(MAX_SNAPSHOT, error::one_shape)),
        )
        .layer(leader_only());
    let protected = Router::new().route("/api/reload", post(operations::reload)).merge(at_leader);
    let voters = Router::new()
        .route("/api/voters", get(read::voters))
        .layer(from_fn_with_state(shared.clone(), proxy::leader_or_here));
    Router::new()
        .merge(protected.layer(from_fn(auth::require_token)))
        .merge(voters)
        .route("/status", get(read::status))
        .route("/health", get(read::health))
        .route("/ready", get(read::ready))
        .route("/metrics", get(read::metrics))
        .route("/metrics/prometheus", get(read::metrics))
        .route("/api/cluster/status", get(read::cluster_status))
        .route("/api/nodes", get(nodes::list))
        .route("/api/events", get(events::events))
        .route("/api/openapi.json", get(openapi::document))
        .route("/api/node/{node}/{*path}", any(proxy::to_node))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(*shared.settings().max_body_bytes))
        .layer(map_response_with_state(*shared.settings().max_body_bytes, error::one_shape))
        .layer(from_fn_with_state(shared.clone(), auth::identify))
        .with_state(shared.clone())
}

/// `/health` and `/ready` alone, for the port that load balancers and probes may reach.
pub(crate) fn health(shared: &Shared) -> Router {
    Router::new()
        .route("/health", get(read::health))
        .route("/ready", get(read::ready))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(1024))
        .with_state(shared.clone())
}

async fn not_found(OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::NotFound(format!("there is no {}; /api/openapi.json lists what there is", uri.path()))
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    ApiError::MethodNotAllowed { method: method.to_string(), path: uri.path().to_owned() }
}
