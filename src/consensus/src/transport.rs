//! How consensus reaches the other voters: bytes in, bytes out.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ringrift_config::NodeId;

/// Carries one request to one node and brings its answer back.
///
/// It must be the real identity of the other side that answers: [`Consensus::serve`](crate::Consensus::serve) is told
/// who asks, and believes it.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` to `to` and waits for the answer, at most until `deadline` has passed.
    ///
    /// Both directions stay below 4 MiB.
    async fn call(&self, to: &NodeId, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// There is no way to the node now, or it refused; says why.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No answer within the deadline.
    #[error("no answer in time")]
    Timeout,
}
