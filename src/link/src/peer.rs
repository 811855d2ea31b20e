use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use ringrift_config::NodeId;

/// The other end of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its node id, from its verified certificate.
    pub node: NodeId,
    /// The other end of the TCP connection: the peer itself, or the relay.
    pub addr: SocketAddr,
    /// The relay that passes the bytes on, where the link is not direct.
    pub via: Option<NodeId>,
}

/// Who dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The peer dialled this node.
    Inbound,
    /// This node dialled the peer.
    Outbound,
}

/// A live link, as [`Links::connected`](crate::Links::connected) shows it.
#[derive(Debug, Clone)]
pub struct LinkInfo {
    /// The other end.
    pub peer: Peer,
    /// Who dialled.
    pub direction: Direction,
    /// When the handshake ended.
    pub since: Instant,
    /// Round-trip time of the last ping, processing at the peer included.
    pub rtt: Option<Duration>,
    /// The software version that the peer named.
    pub software: String,
    /// The port on which the peer says it accepts links; none where it only dials out.
    pub listen_port: Option<u16>,
    /// This node's address as the peer sees it: differs from its own behind address translation.
    pub observed: Option<SocketAddr>,
    /// Calls and streams in flight, those opened by the peer included.
    pub streams: usize,
}
