use std::{path::PathBuf, time::Duration};

use ringrift_config::NodeId;

/// Why a link, a call or a stream could not be had. Every text names the peer (a node id, or `host:port` where the node
/// is not known yet) and, where there is something to do about it, what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each text says what its fields are")]
pub enum LinkError {
    /// There is neither an address, a live link, nor a relay.
    #[error("no way to reach {peer}: {reason}")]
    NoRoute { peer: String, reason: String },
    /// The TCP connection could not be made, or the name not resolved.
    #[error(
        "cannot connect to {peer} at {addr}: {reason}; check that ringrift-p2p runs there and that the port is open"
    )]
    Refused { peer: String, addr: String, reason: String },
    /// The time given for a step ran out.
    #[error("{peer} did not finish within {after:?}: {what}")]
    Timeout { peer: String, what: &'static str, after: Duration },
    /// The TLS handshake failed.
    #[error("TLS with {peer} at {addr} failed: {reason}")]
    Tls { peer: String, addr: String, reason: String },
    /// The certificate at that address belongs to another node.
    #[error("{addr} should be {peer} but is {found}; correct the address of {peer} in the hosts file")]
    WrongNode { peer: String, found: NodeId, addr: String },
    /// Another live machine uses the node id.
    #[error("node id {node} is already in use at {holder}; give one of the two machines another RINGRIFT_NODE_ID")]
    DuplicateId { node: NodeId, holder: String },
    /// The address dialled is this very process.
    #[error("{addr} is this node itself")]
    SelfDial { addr: String },
    /// The peer answered and said no.
    #[error("{peer} refused the link: {reason}")]
    Rejected { peer: String, reason: String },
    /// The link ended before an answer came. Whether the request was carried out is unknown.
    #[error("the link to {peer} closed: {reason}")]
    Closed { peer: String, reason: String },
    /// The handler at the peer answered with an error.
    #[error("{peer} answered: {message}")]
    Remote { peer: String, message: String },
    /// A request or an answer is larger than both ends allow.
    #[error("a message of {bytes} bytes to or from {peer} exceeds the limit of {limit} bytes")]
    TooLarge { peer: String, bytes: u64, limit: u64 },
    /// Too many streams or links are in use, here or at the peer.
    #[error("{peer}: {reason}; try again later")]
    Busy { peer: String, reason: String },
    /// The peer broke the protocol.
    #[error("{peer} does not speak the link protocol: {reason}")]
    Protocol { peer: String, reason: String },
    /// The last dial failed a moment ago; no new one is made yet.
    #[error("{peer} is dialled again in {retry_in:?}; last attempt: {last}")]
    BackOff { peer: String, retry_in: Duration, last: Box<LinkError> },
    /// This node is shutting its links down.
    #[error("links of this node are shutting down")]
    Stopped,
}

/// Why there is no [`Identity`](crate::Identity).
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each text says what its fields are")]
pub enum IdentityError {
    /// The secret is shorter than [`Identity::MIN_SECRET`](crate::Identity::MIN_SECRET).
    #[error("the cluster token has {0} bytes, at least 32 are needed; make one with `ringriftctl token new`")]
    ShortToken(usize),
    /// A PEM file cannot be read or parsed.
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    /// The certificate is for another node.
    #[error("{path}: the certificate is for {found}, this node is {expected}; issue one with the SAN or CN {expected}")]
    WrongNode { path: PathBuf, expected: NodeId, found: String },
    /// A certificate could not be made or used; a defect or a broken random source.
    #[error("cannot make this node's certificate: {0}")]
    Certificate(String),
}
