use async_trait::async_trait;
use bytes::Bytes;

use crate::{Peer, Protocol, Stream};

/// Answers what peers ask. One handler serves all links; `from` is verified.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An `Err` travels to the caller as [`LinkError::Remote`](crate::LinkError::Remote). The
    /// future is dropped when the caller's deadline has passed.
    async fn call(&self, from: &Peer, protocol: Protocol, request: Bytes) -> Result<Bytes, String>;

    /// Serves one stream to its end. The future is dropped when the links shut down.
    async fn stream(&self, from: Peer, protocol: Protocol, stream: Stream);
}
