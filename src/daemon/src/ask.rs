//! What this node asks of the cluster by itself: the same routes that operators use, asked of its own API.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    http::{auth::Caller, error::ApiError},
    node::Shared,
};

/// Asks, and reads the answer; a leader's route is answered by the leader, wherever it is. Errors are those that the route gave.
pub(crate) async fn ask<T: DeserializeOwned>(
    shared: &Shared,
    method: Method,
    path: &str,
    body: &impl Serialize,
    within: Duration,
) -> Result<T, ApiError> {
    let body = serde_json::to_vec(body).map_err(|e| ApiError::Internal(e.to_string()))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|e| ApiError::Internal(e.to_string()))?;
    // This node asks for itself: whoever may use its configuration and its files may.
    let caller = Caller { trusted: true, forwarded_by: None };
    let answer = tokio::time::timeout(within, shared.answer_here(caller, request))
        .await
        .map_err(|_| ApiError::Timeout(format!("{path} was not done within {} s", within.as_secs())))??;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|e| ApiError::Internal(e.to_string()))?.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|e| ApiError::Internal(e.to_string()));
    }
    let error: ringrift_api::ErrorBody =
        serde_json::from_slice(&body).map_err(|_| ApiError::Internal(format!("{path} was answered with {status}")))?;
    Err(ApiError::from_body(error))
}
