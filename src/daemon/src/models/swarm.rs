//! Connections of the exchange: this node's to others, and theirs to this one.

use std::time::Duration;

use async_trait::async_trait;
use ringrift_config::NodeId;
use ringrift_exchange::{BoxedStream, Dialer};
use ringrift_members::Members;
use ringrift_models::Signer;
use tokio::net::TcpStream;

use crate::facts::NodeFacts;

/// Time to reach another node's model server and be let in.
const JOIN_WITHIN: Duration = Duration::from_secs(10);

/// Dials other nodes' model servers, at the addresses that they tell by gossip.
pub(crate) struct SwarmDialer {
    members: Members<NodeFacts>,
    signer: Signer,
}

impl SwarmDialer {
    pub(crate) fn new(members: Members<NodeFacts>, signer: Signer) -> Self {
        Self { members, signer }
    }

    async fn join(&self, peer: &NodeId) -> Result<BoxedStream, String> {
        let table = self.members.table();
        let facts = table.get(peer).and_then(|member| member.facts.clone());
        let Some(facts) = facts else { return Err(format!("nothing is known of {peer}")) };
        if facts.address.models_port == 0 {
            return Err(format!("{peer} runs no model server"));
        }
        let address = (facts.address.host.as_str(), facts.address.models_port);
        let socket = TcpStream::connect(address)
            .await
            .map_err(|e| format!("cannot connect to {peer} at {}:{}: {e}", address.0, address.1))?;
        let stream = ringrift_models::join(socket, &self.signer, peer).await.map_err(|e| e.to_string())?;
        Ok(Box::new(stream))
    }
}

#[async_trait]
impl Dialer for SwarmDialer {
    async fn dial(&self, peer: &NodeId) -> Result<BoxedStream, String> {
        let joined = tokio::time::timeout(JOIN_WITHIN, self.join(peer)).await;
        joined.unwrap_or_else(|_| Err(format!("{peer} did not answer within {} s", JOIN_WITHIN.as_secs())))
    }
}
