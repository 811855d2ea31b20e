//! One error shape for every route. The status comes from an exhaustive match: a new error forces a decision.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use ringrift_api::{ErrorBody, ErrorCode};
use ringrift_config::NodeId;
use ringrift_consensus::ProposeError;
use ringrift_link::LinkError;

/// Why a request was not answered as asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("unauthorized")]
    Unauthorized,
    #[error("no leader: {0}")]
    NoLeader(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("the body is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("method {method} is not allowed for {path}")]
    MethodNotAllowed { method: String, path: String },
    #[error("{0}")]
    Timeout(String),
    #[error("cannot reach node {node}: {reason}")]
    Unreachable { node: NodeId, reason: String },
    /// The request is well-formed, and it would do harm.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Overloaded(String),
    /// The work queue takes no more for now.
    #[error("{0}")]
    QueueFull(String),
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    fn code(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized),
            Self::NoLeader(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::NoLeader),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, ErrorCode::BadRequest),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest),
            Self::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, ErrorCode::Timeout),
            Self::Unreachable { .. } => (StatusCode::BAD_GATEWAY, ErrorCode::Unreachable),
            Self::Refused(_) => (StatusCode::CONFLICT, ErrorCode::Refused),
            Self::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded),
            Self::QueueFull(_) => (StatusCode::TOO_MANY_REQUESTS, ErrorCode::QueueFull),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        let mut body = ErrorBody::new(code, self.to_string());
        let mut retry = None;
        match &self {
            Self::NoLeader(_) => {
                body.details.insert("leader_id".into(), serde_json::Value::Null);
                retry = Some("1");
            }
            Self::Unreachable { node, .. } => {
                body.details.insert("node_id".into(), node.as_str().into());
            }
            Self::TooLarge { limit } => {
                body.details.insert("limit_bytes".into(), (*limit).into());
            }
            Self::Overloaded(_) => retry = Some("1"),
            // A slot is free again when a job ends: that takes longer than an election.
            Self::QueueFull(_) => retry = Some("30"),
            _ => {}
        }
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if self == Self::Unauthorized {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Longest sentence of the framework that is passed on.
const MAX_REASON: usize = 4096;

/// Gives an error that the framework made (a body over the limit, a query that cannot be read) the one shape.
pub(crate) async fn one_shape(State(limit): State<usize>, response: Response) -> Response {
    let json = HeaderValue::from_static("application/json");
    let failed = response.status().is_client_error() || response.status().is_server_error();
    if !failed || response.headers().get(header::CONTENT_TYPE) == Some(&json) {
        return response;
    }
    let status = response.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::TooLarge { limit }.into_response();
    }
    let reason = axum::body::to_bytes(response.into_body(), MAX_REASON).await.unwrap_or_default();
    let reason = String::from_utf8_lossy(&reason).into_owned();
    if status.is_client_error() { ApiError::BadRequest(reason) } else { ApiError::Internal(reason) }.into_response()
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::NotLeader { .. } | ProposeError::NoLeader => Self::NoLeader(error.to_string()),
            ProposeError::TooLarge { .. } => Self::BadRequest(error.to_string()),
            ProposeError::Timeout => Self::Timeout(error.to_string()),
            ProposeError::Stopped => Self::Overloaded("this node is stopping".into()),
        }
    }
}

impl ApiError {
    /// What another node answered, to be passed on as this node's own answer.
    pub(crate) fn from_body(body: ErrorBody) -> Self {
        match body.error_code {
            ErrorCode::Unauthorized => Self::Unauthorized,
            ErrorCode::NoLeader => Self::NoLeader(body.error.trim_start_matches("no leader: ").to_owned()),
            ErrorCode::NotFound => Self::NotFound(body.error),
            ErrorCode::BadRequest | ErrorCode::TooLarge => Self::BadRequest(body.error),
            ErrorCode::Timeout => Self::Timeout(body.error),
            ErrorCode::Refused | ErrorCode::Conflict => Self::Refused(body.error),
            ErrorCode::Overloaded => Self::Overloaded(body.error),
            ErrorCode::QueueFull => Self::QueueFull(body.error),
            ErrorCode::Unreachable => {
                let node = body.details.get("node_id").and_then(|node| node.as_str()?.parse::<NodeId>().ok());
                match node {
                    Some(node) => {
                        let reason = body.error.strip_prefix(&format!("cannot reach node {node}: "));
                        let reason = reason.unwrap_or(&body.error).to_owned();
                        Self::Unreachable { node, reason }
                    }
                    None => Self::Internal(body.error),
                }
            }
            ErrorCode::Internal => Self::Internal(body.error),
        }
    }

    /// A node that could not be asked.
    pub(crate) fn unreachable(node: &NodeId, error: &LinkError) -> Self {
        Self::Unreachable { node: node.clone(), reason: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_error_that_was_passed_on_is_still_the_same() {
        for error in [
            ApiError::NoLeader("no majority".into()),
            ApiError::NotFound("no such model".into()),
            ApiError::Unreachable { node: "gpu-3".parse().unwrap(), reason: "connection refused".into() },
            ApiError::Refused("it would do harm".into()),
            ApiError::Timeout("too long".into()),
        ] {
            let body = error.clone().into_response().into_body().collect().await.unwrap().to_bytes();
            assert_eq!(ApiError::from_body(serde_json::from_slice(&body).unwrap()), error);
        }
    }
}
