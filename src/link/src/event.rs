use std::net::SocketAddr;

use ringrift_config::NodeId;

use crate::Peer;

/// What happened to links; see [`Links::events`](crate::Links::events).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// The first link to this node is up.
    Up(Peer),
    /// The last link to this node is gone. Strong evidence that it is in trouble, but no proof.
    Down {
        /// The node, at the address it was last linked from.
        peer: Peer,
        /// Why, in words.
        reason: String,
    },
    /// Two live machines use one node id. Raised where it is judged, and at the machine that came second.
    DuplicateId {
        /// The node id; this node's own where this machine is one of the two.
        node: NodeId,
        /// The machine that had the id first and still answers.
        holder: String,
        /// The machine that came second.
        newcomer: SocketAddr,
    },
    /// A connection from or to this address was turned down or cut off.
    Rejected {
        /// The other end of the connection.
        addr: SocketAddr,
        /// Why, in words.
        reason: String,
    },
}
