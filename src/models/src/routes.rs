//! The routes of 8767.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, OriginalUri},
    routing::{get, post},
};
use http::Method;
use ringrift_store::Store;
use tokio::sync::Semaphore;

use crate::{
    access::Access, download, error::HttpError, limits::Limits, objects::Objects, server::Callbacks, swarm, upload,
};

/// What every request can reach.
pub(crate) type Shared = Arc<Server>;

/// The server's own things.
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) objects: Objects,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) uploads: Arc<Semaphore>,
    pub(crate) callbacks: Callbacks,
}

/// Where a request comes from. Every request carries one as an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Every route of 8767.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .route("/models/{name}", get(download::by_name))
        .route("/models/by-digest/{hex}", get(download::by_digest))
        .route("/models/upload", post(upload::upload))
        .route("/swarm", get(swarm::accept))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // An upload counts its bytes itself; no other route reads a body.
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn not_found(OriginalUri(uri): OriginalUri) -> HttpError {
    HttpError::NotFound(format!("there is no {} here; models are at /models/<name>", uri.path()))
}

async fn method_not_allowed(method: Method, OriginalUri(uri): OriginalUri) -> HttpError {
    HttpError::MethodNotAllowed { method: method.to_string(), path: uri.path().to_owned() }
}
