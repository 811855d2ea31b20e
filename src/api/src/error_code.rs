use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of error an answer is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// No token, or not the cluster's.
    Unauthorized,
    /// The request needs a leader, and there is none.
    NoLeader,
    /// No such route, node or thing.
    NotFound,
    /// The request cannot be understood.
    BadRequest,
    /// The body is over the limit.
    TooLarge,
    /// No answer came in time from the node that had to do it; it may still be done.
    Timeout,
    /// The node that had to do it cannot be reached.
    Unreachable,
    /// The request is understood, and it would do harm: for example a voter list that leaves no quorum.
    Refused,
    /// The thing changed meanwhile, or is in a state that does not allow it.
    Conflict,
    /// Too much at once; the answer says when to come again.
    Overloaded,
    /// The work queue is full; the answer says when to come again.
    QueueFull,
    /// A fault of the daemon.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::Unauthorized,
        Self::NoLeader,
        Self::NotFound,
        Self::BadRequest,
        Self::TooLarge,
        Self::Timeout,
        Self::Unreachable,
        Self::Refused,
        Self::Conflict,
        Self::Overloaded,
        Self::QueueFull,
        Self::Internal,
    ];

    /// The HTTP status that an answer with this code has.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NoLeader | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unreachable => StatusCode::BAD_GATEWAY,
            Self::Refused | Self::Conflict => StatusCode::CONFLICT,
            Self::QueueFull => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NoLeader => "NO_LEADER",
            Self::NotFound => "NOT_FOUND",
            Self::BadRequest => "BAD_REQUEST",
            Self::TooLarge => "TOO_LARGE",
            Self::Timeout => "TIMEOUT",
            Self::Unreachable => "UNREACHABLE",
            Self::Refused => "REFUSED",
            Self::Conflict => "CONFLICT",
            Self::Overloaded => "OVERLOADED",
            Self::QueueFull => "QUEUE_FULL",
            Self::Internal => "INTERNAL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_sent_as_its_name() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn every_code_has_an_error_status() {
        for code in ErrorCode::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{}", code.as_str());
        }
    }
}
