use std::time::Duration;

use http::StatusCode;

use crate::{ErrorBody, ErrorCode};

/// Why there is no answer, or not the wanted one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("{url:?} is not an address of a daemon: {reason}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The token cannot be sent in a header.
    #[error("the token has characters that a token cannot have")]
    BadToken,
    /// The request could not be put together.
    #[error("cannot ask {url}: {reason}")]
    Unsendable {
        /// What was asked.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Nothing listens there.
    #[error("{url}: connection refused")]
    Refused {
        /// What was asked.
        url: String,
    },
    /// The host cannot be found or reached, or the connection broke.
    #[error("{url}: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("{url}: no answer within {:.1} s", after.as_secs_f64())]
    Timeout {
        /// What was asked.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The route needs a token, or another one.
    #[error("{url}: {}", if *token_sent { "the daemon does not accept this token" } else { "this needs the cluster token" })]
    Unauthorized {
        /// What was asked.
        url: String,
        /// The daemon's answer.
        body: Box<ErrorBody>,
        /// Whether a token was sent.
        token_sent: bool,
    },
    /// The daemon says no.
    #[error("{url}: {}", body.error)]
    Answer {
        /// What was asked.
        url: String,
        /// The status of the answer.
        status: StatusCode,
        /// The daemon's answer.
        body: Box<ErrorBody>,
    },
    /// Something answers there, and it is not this API, or another version of it.
    #[error("{url}: answered {status}, but not as a ringrift-p2p daemon does: {reason}")]
    NotTheApi {
        /// What was asked.
        url: String,
        /// The status of the answer.
        status: StatusCode,
        /// What is unexpected.
        reason: String,
    },
}

impl ClientError {
    /// The daemon's error code, if the daemon answered.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Unauthorized { body, .. } | Self::Answer { body, .. } => Some(body.error_code),
            Self::BadUrl { .. }
            | Self::BadToken
            | Self::Unsendable { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::NotTheApi { .. } => None,
        }
    }

    /// Whether the same request may be answered a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Answer { status, .. } | Self::NotTheApi { status, .. } => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::BadUrl { .. } | Self::BadToken | Self::Unsendable { .. } | Self::Unauthorized { .. } => false,
        }
    }
}

/// The beginning of an answer that nobody expected, fit for one line.
pub(super) fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 80;
    let text: String =
        String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    let text = text.trim();
    if text.is_empty() { "an empty body".to_owned() } else { format!("{text:?}") }
}
