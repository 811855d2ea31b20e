use std::net::{IpAddr, SocketAddr};

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
    /// The last link to this node was closed because nothing used it. It says nothing about the node's health.
    Unused(Peer),
    /// A node is linked with from another address than before.
    Moved {
        /// The node, where it is now.
        peer: Peer,
        /// Where it was.
        from: IpAddr,
    },
    /// A second machine came with a node id that a live one has, this one perhaps. It was refused.
    DuplicateId {
        /// The node id.
        node: NodeId,
        /// The machine that has the id and still answers.
        holder: String,
        /// The machine that came second.
        newcomer: String,
    },
    /// This machine itself came second with its node id: it must not go on under it.
    IdTaken {
        /// The machine that has the id and still answers, as the peer that said so sees it.
        holder: String,
    },
    /// A connection from or to this address was turned down or cut off.
    Rejected {
        /// The other end of the connection.
        addr: SocketAddr,
        /// Why, in words.
        reason: String,
    },
}
