use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ringrift_config::NodeId;

/// How a request reaches another node.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` to `to` and returns what its [`Members::serve`](crate::Members::serve) answered.
    ///
    /// It must fail as soon as it knows that the node cannot be reached (connection refused): that is evidence and
    /// shortens the detection of a death by two seconds. It must not take longer than `deadline`.
    async fn exchange(&self, to: &NodeId, request: Bytes, deadline: Duration) -> Result<Bytes, String>;
}
