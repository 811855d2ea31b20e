//! The HTTP API on 8770, and the health endpoint on 8080.

pub(crate) mod auth;
mod components;
pub(crate) mod error;
mod events;
mod jobs;
mod models;
mod nodes;
mod openapi;
pub(crate) mod operations;
mod paced;
mod proxy;
mod read;
pub(crate) mod server;
pub(crate) mod unasked;
mod work;

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

/// Largest promotion that is taken, in bytes: the digests of all chunks that may be agreed on, as text.
const MAX_COMMIT: usize = 2 << 20;

/// Every route of the API, for clients and for other nodes alike.
pub(crate) fn api(shared: &Shared) -> Router {
    let leader_only = || from_fn_with_state(shared.clone(), proxy::leader_only);
    // Answered by the leader, wherever they are asked; the token is checked first, where the caller is.
    let at_leader = Router::new()
        .route("/api/nodes/{node}/{deed}", post(nodes::set_eligibility))
        .route("/api/leader/transfer", post(operations::transfer))
        .route("/api/voters/adopt", post(operations::adopt_voters))
        .route("/api/snapshot", get(operations::save_snapshot))
        .route(
            "/api/snapshot/restore",
            post(operations::restore_snapshot)
                .layer(DefaultBodyLimit::max(MAX_SNAPSHOT))
                .layer(map_response_with_state(MAX_SNAPSHOT, error::one_shape)),
        )
        .route("/api/models/commit", post(models::agree::commit).layer(DefaultBodyLimit::max(MAX_COMMIT)))
        .route("/api/models/remove", post(models::agree::remove))
        .route("/api/models/set-aside", post(models::agree::set_aside))
        .route("/api/models/rollback", post(models::agree::rollback))
        .route("/api/models/distribute", post(models::distribute::distribute))
        .route("/api/jobs/submit", post(jobs::submit))
        .route("/api/jobs/report", post(jobs::report).layer(DefaultBodyLimit::max(MAX_COMMIT)))
        .route("/api/jobs/{id}/cancel", post(jobs::cancel))
        .route("/api/jobs/{id}/limits", post(jobs::limits))
        .route("/start_job", post(jobs::start_job))
        .route("/stop_job", post(jobs::stop_job))
        .route("/work/add", post(work::add))
        .route("/work/add_batch", post(work::add_batch))
        // A claim takes work away from others, whatever its method.
        .route("/work/claim", get(work::claim_by_query))
        .route("/work/claim", post(work::claim))
        .route("/work/start", post(work::start))
        .route("/work/complete", post(work::complete))
        .route("/work/fail", post(work::fail))
        .route("/work/cancel", post(work::cancel))
        .layer(leader_only());
    let protected = Router::new()
        .route("/api/reload", post(operations::reload))
        .route("/api/models/promote", post(models::agree::promote))
        .route("/api/models/verify", post(models::here::verify))
        .route("/api/models/gc", post(models::here::gc))
        .route("/api/models/link", post(models::here::link))
        .route("/api/jobs/{id}/log", get(jobs::log))
        .merge(at_leader);
    // Its reasons are the leader's, and nobody else's.
    let why = Router::new().route("/api/jobs/{id}/why", get(jobs::why)).layer(leader_only());
    // What is read of the agreed state: here, or, asked with `consistent`, at the leader.
    let agreed = Router::new()
        .route("/api/nodes", get(nodes::list))
        .route("/api/events", get(events::events))
        .route("/api/models", get(models::list))
        .route("/api/models/manifest", get(models::manifest))
        .route("/api/jobs", get(jobs::list))
        .route("/api/jobs/{id}", get(jobs::show))
        .route("/work/status", get(work::status))
        .route("/work/history", get(work::history))
        .route("/work/node/{id}", get(work::of_node))
        .layer(from_fn_with_state(shared.clone(), proxy::consistent));
    let voters = Router::new()
        .route("/api/voters", get(read::voters))
        .layer(from_fn_with_state(shared.clone(), proxy::leader_or_here));
    // Old programs read these; without a part in models this node has nothing to show.
    let files = shared.models().ok().map(|models| {
        let node = shared.node().clone();
        let router = ringrift_models::files::router(models.store.clone(), node);
        router.layer(from_fn_with_state(shared.clone(), auth::require_reader))
    });
    Router::new()
        .merge(files.unwrap_or_default())
        .merge(protected.layer(from_fn(auth::require_token)))
        .merge(voters)
        .merge(why)
        .merge(agreed)
        .route("/status", get(read::status))
        .route("/health", get(read::health))
        .route("/ready", get(read::ready))
        .route("/metrics", get(read::metrics))
        .route("/metrics/prometheus", get(read::metrics))
        .route("/api/cluster/status", get(read::cluster_status))
        .route("/api/health/components", get(components::components))
        .route("/api/models/progress", get(models::progress))
        .route("/api/jobs/here", get(jobs::here))
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

/// Reads a query as each of the routes does that looks at one.
#[cfg(any(fuzzing, test))]
pub(crate) fn read_queries(uri: &http::Uri) {
    use axum::extract::Query;
    let _ = Query::<components::ComponentsQuery>::try_from_uri(uri);
    let _ = Query::<events::EventsQuery>::try_from_uri(uri);
    let _ = Query::<jobs::Which>::try_from_uri(uri);
    let _ = Query::<jobs::WhichLines>::try_from_uri(uri);
    let _ = Query::<models::OfModel>::try_from_uri(uri);
    let _ = Query::<read::StatusQuery>::try_from_uri(uri);
    let _ = Query::<ringrift_api::ClaimRequest>::try_from_uri(uri);
}
