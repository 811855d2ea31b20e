//! One error shape for every route. The status comes from an exhaustive match: a new error forces a decision.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use ringrift_api::{ErrorBody, ErrorCode};
use ringrift_blob::{Digest, InvalidModelName};
use ringrift_store::StoreError;

use crate::signature;

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The reason is for the log and for `details`: clients compare the sentence.
    #[error("unauthorized")]
    Unauthorized(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    BadName(#[from] InvalidModelName),
    #[error("{0}")]
    BadRequest(String),
    #[error("method {method} is not allowed for {path}")]
    MethodNotAllowed { method: String, path: String },
    #[error("the version that was asked for is not the current one")]
    PreconditionFailed,
    #[error("none of the bytes that were asked for exist: there are {size}")]
    NoSuchRange { size: u64 },
    #[error("the upload is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("{0}")]
    TooSlow(String),
    #[error("the upload has SHA-256 {found}, {expected} was promised: it was not taken")]
    WrongDigest { expected: Digest, found: Digest },
    #[error("{0}")]
    DiskFull(String),
    #[error("this is the way in for nodes: ask with `Connection: upgrade` and `Upgrade: {0}`")]
    UpgradeRequired(&'static str),
    #[error("{0}")]
    Overloaded(String),
    #[error("{0}")]
    Internal(String),
}

impl HttpError {
    fn code(&self) -> (StatusCode, ErrorCode) {
        match self {
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, ErrorCode::Unauthorized),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, ErrorCode::NotFound),
            Self::BadName(_) | Self::BadRequest(_) => (StatusCode::BAD_REQUEST, ErrorCode::BadRequest),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, ErrorCode::BadRequest),
            Self::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, ErrorCode::Conflict),
            Self::NoSuchRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, ErrorCode::BadRequest),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::TooLarge),
            Self::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, ErrorCode::Timeout),
            Self::WrongDigest { .. } => (StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::BadRequest),
            Self::DiskFull(_) => (StatusCode::INSUFFICIENT_STORAGE, ErrorCode::Refused),
            Self::UpgradeRequired(_) => (StatusCode::UPGRADE_REQUIRED, ErrorCode::BadRequest),
            Self::Overloaded(_) => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Overloaded),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal),
        }
    }

    /// The body that a client gets.
    pub(crate) fn body(&self) -> ErrorBody {
        let body = ErrorBody::new(self.code().1, self.to_string());
        match self {
            Self::Unauthorized(reason) => body.with_detail("reason", reason.as_str()),
            Self::NoSuchRange { size } => body.with_detail("size", *size),
            Self::TooLarge { limit } => body.with_detail("limit_bytes", *limit),
            Self::WrongDigest { expected, found } => {
                body.with_detail("expected", expected.to_string()).with_detail("found", found.to_string())
            }
            Self::DiskFull(_) => body.with_detail("disk_full", true),
            _ => body,
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let (status, _) = self.code();
        if status.is_server_error() {
            tracing::warn!(%status, "{self}");
        }
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        match &self {
            Self::Unauthorized(_) => {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(signature::SCHEME));
            }
            Self::NoSuchRange { size } => {
                let range = HeaderValue::try_from(format!("bytes */{size}"));
                headers.insert(header::CONTENT_RANGE, range.expect("digits and a slash"));
            }
            Self::UpgradeRequired(protocol) => {
                headers.insert(header::UPGRADE, HeaderValue::from_static(protocol));
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            }
            Self::Overloaded(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}

impl From<StoreError> for HttpError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::DiskFull { .. } => Self::DiskFull(error.to_string()),
            StoreError::WrongDigest { expected, found, .. } => Self::WrongDigest { expected, found },
            StoreError::Invalid { .. } | StoreError::ReservedName(_) => Self::BadRequest(error.to_string()),
            StoreError::Unknown(_) => Self::NotFound(error.to_string()),
            StoreError::Changing(_) | StoreError::Stopped => Self::Overloaded(error.to_string()),
            StoreError::Io { .. }
            | StoreError::InUse(_)
            | StoreError::NotAFile(_)
            | StoreError::Rotten(_)
            | StoreError::Incomplete { .. }
            | StoreError::OtherChunks(_) => Self::Internal(error.to_string()),
        }
    }
}
