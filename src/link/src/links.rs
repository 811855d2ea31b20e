use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use ringrift_config::NodeId;
use tokio::{net::TcpListener, sync::broadcast};
use tokio_util::sync::CancellationToken;

use crate::{AddressBook, Handler, Identity, Limits, LinkError, LinkEvent, LinkInfo, Protocol, Stream};

/// What [`Links::start`] needs to know about this node.
#[derive(Debug)]
pub struct LinkConfig {
    /// Certificates, and whom to trust.
    pub identity: Identity,
    /// This node's id; the identity must be for the same.
    pub node: NodeId,
    /// A number drawn when this process started: tells a restarted node from a second machine with its id.
    pub instance: u64,
    /// Where peers connect; none on a node that only dials out.
    pub listener: Option<TcpListener>,
    /// Source address of dials, unless it is `0.0.0.0` or `::`.
    pub bind: IpAddr,
    /// Bounds and times.
    pub limits: Limits,
}

/// The links of this node to all its peers: a handle, cheap to clone.
#[derive(Clone)]
pub struct Links {
    events: broadcast::Sender<LinkEvent>,
}

impl Links {
    /// Starts accepting, and dials when a call or a stream needs it. Everything ends when `shutdown` is cancelled; wait
    /// for that with [`Links::stopped`].
    pub fn start(
        config: LinkConfig,
        book: Arc<dyn AddressBook>,
        handler: Arc<dyn Handler>,
        shutdown: CancellationToken,
    ) -> Self {
        let _ = (config, book, handler, shutdown);
        Self { events: broadcast::channel(256).0 }
    }

    /// Sends one request and waits for its answer, dialling first if there is no link. `deadline` covers all of it.
    pub async fn call(
        &self,
        to: &NodeId,
        protocol: Protocol,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, LinkError> {
        let _ = (to, protocol, request, deadline);
        Err(LinkError::Stopped)
    }

    /// Opens a stream, dialling first if there is no link. Give it a deadline with [`tokio::time::timeout`].
    pub async fn open(&self, to: &NodeId, protocol: Protocol) -> Result<Stream, LinkError> {
        let _ = (to, protocol);
        Err(LinkError::Stopped)
    }

    /// Links to whatever node answers at `host:port` and returns its id.
    pub async fn dial_seed(&self, seed: &str) -> Result<NodeId, LinkError> {
        let _ = seed;
        Err(LinkError::Stopped)
    }

    /// The live links, one for each node that has any, in order of node id.
    pub fn connected(&self) -> Vec<LinkInfo> {
        Vec::new()
    }

    /// Events from now on. A receiver that lags loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<LinkEvent> {
        self.events.subscribe()
    }

    /// Closes the links to a node. It may be dialled again, and may dial, at once.
    pub fn close(&self, node: &NodeId) {
        let _ = node;
    }

    /// Returns when the links have shut down and their tasks have ended.
    pub async fn stopped(&self) {}
}
