//! Hands what arrives on links to the subsystem that it is for.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use ringrift_link::{Handler, Peer, Protocol, Stream};
use ringrift_members::Members;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    agreement::Agreement,
    facts::NodeFacts,
    http::server::{self, Origin},
};

/// The subsystems behind the links. They are made after the links, since they send through them; until then a peer is
/// told that this node is starting, and asks again.
pub(crate) struct Dispatch {
    members: OnceLock<Members<NodeFacts>>,
    agreement: OnceLock<Arc<Agreement>>,
    router: OnceLock<Router>,
    shutdown: CancellationToken,
}

/// Time that a node has to send the head of a request on a stream.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

const STARTING: &str = "this node is starting";

impl Dispatch {
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { members: OnceLock::new(), agreement: OnceLock::new(), router: OnceLock::new(), shutdown }
    }

    pub(crate) fn serve_members(&self, members: Members<NodeFacts>) {
        let _ = self.members.set(members);
    }

    pub(crate) fn serve_agreement(&self, agreement: Arc<Agreement>) {
        let _ = self.agreement.set(agreement);
    }

    pub(crate) fn serve_http(&self, router: Router) {
        let _ = self.router.set(router);
    }
}

#[async_trait]
impl Handler for Dispatch {
    async fn call(&self, from: &Peer, protocol: Protocol, request: Bytes) -> Result<Bytes, String> {
        match protocol {
            Protocol::Gossip => self.members.get().ok_or(STARTING)?.serve(&from.node, request).await,
            Protocol::Raft => {
                let agreement = self.agreement.get().ok_or(STARTING)?;
                let consensus = agreement.consensus().ok_or("this node is not a voter")?;
                consensus.serve(&from.node, request).await
            }
            Protocol::Watch | Protocol::Http => Err(format!("{protocol:?} is a stream, not a call")),
        }
    }

    async fn stream(&self, from: Peer, protocol: Protocol, stream: Stream) {
        match protocol {
            Protocol::Watch => {
                // Only a voter hands on what is agreed; the follower tries another when the stream just closes.
                let Some(hub) = self.agreement.get().and_then(|a| a.hub()) else { return };
                if let Err(error) = hub.serve(&from.node, stream).await {
                    debug!(peer = %from.node, %error, "a watch stream ended");
                }
            }
            Protocol::Http => {
                let Some(router) = self.router.get() else { return };
                let origin = Origin::Node(from.node);
                server::serve_connection(stream, router.clone(), origin, None, HEADER_TIMEOUT, self.shutdown.clone())
                    .await;
            }
            Protocol::Gossip | Protocol::Raft => {
                debug!(peer = %from.node, ?protocol, "opened a stream for what is a call; closed it");
            }
        }
    }
}
