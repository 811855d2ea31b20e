use std::{fmt, time::Duration};

use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;

/// What a planner is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// This node wants a blob, and has some chunks of it. Again with more chunks, if they came by another way.
    Want {
        /// The blob, checked.
        blob: &'a Blob,
        /// What is here and verified.
        have: ChunkSet,
    },
    /// This node has all of a blob.
    Hold {
        /// The blob, checked.
        blob: &'a Blob,
    },
    /// A blob is no longer wanted or served: its promotion was superseded, or it was deleted.
    Forget {
        /// The blob.
        sha256: Digest,
    },
    /// A session is up. Tell the peer then, by one set of chunks for each blob, what [`Planner::have`](crate::Planner::have) says.
    PeerUp {
        /// The other end.
        peer: NodeId,
    },
    /// A session is gone.
    PeerDown {
        /// The other end.
        peer: NodeId,
    },
    /// A peer says what it has of a blob; the empty set if nothing any longer. It replaces what it said before.
    Has {
        /// Who says so.
        peer: NodeId,
        /// The blob, whether it is wanted here or not.
        sha256: Digest,
        /// What it has.
        chunks: ChunkSet,
    },
    /// A peer got one chunk more.
    Have {
        /// Who says so.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// A chunk came, was verified and is stored.
    Arrived {
        /// From where.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// A chunk came that is not what its digest says.
    Bad {
        /// From where.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// A peer refused a request of this node.
    Refused {
        /// Who refused.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
        /// It has too much to do; otherwise it refuses this chunk only.
        busy: bool,
    },
    /// A peer asks for a chunk.
    Asked {
        /// Who asks.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// A peer takes back what it asked for. One that is being served still ends with [`Sent`](Input::Sent).
    Cancelled {
        /// Who asked.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// A chunk that was to be served has left this node, or could not be read: its slot is free.
    Sent {
        /// To where.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// Time has passed: [`Planner::deadline`](crate::Planner::deadline) is reached.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Ask a peer for a chunk.
    Request {
        /// Whom.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// Tell a peer that a chunk is no longer needed from it. If it comes all the same, it may be used.
    Cancel {
        /// Whom.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// Tell a peer that this node has a chunk.
    Announce {
        /// Whom.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// Send a peer a chunk, and say [`Input::Sent`] when it has left.
    Serve {
        /// Whom.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// Tell a peer that its request is not served.
    Refuse {
        /// Whom.
        peer: NodeId,
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
        /// Too much to do; otherwise it is this chunk that is not served now.
        busy: bool,
    },
    /// End the session with a peer. The planner has forgotten it already.
    Drop {
        /// Whom.
        peer: NodeId,
        /// Why.
        reason: DropReason,
    },
    /// All chunks of a blob are here and verified. It is served from now on.
    Done {
        /// The blob.
        sha256: Digest,
    },
}

/// Why a peer is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DropReason {
    /// It sent a chunk that is not what its digest says.
    BadChunk {
        /// The blob.
        sha256: Digest,
        /// The chunk.
        chunk: u32,
    },
    /// It was asked, and sent nothing.
    Silent {
        /// For how long.
        lasted: Duration,
    },
    /// It came back before its ban was over.
    Banned {
        /// For how much longer.
        left: Duration,
    },
    /// This planner knows [`MAX_PEERS`](crate::MAX_PEERS) already.
    TooMany,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadChunk { sha256, chunk } => write!(f, "sent a bad chunk {chunk} of {sha256}"),
            Self::Silent { lasted } => write!(f, "was asked and sent nothing for {:.1} s", lasted.as_secs_f64()),
            Self::Banned { left } => write!(f, "is banned for another {:.1} s", left.as_secs_f64()),
            Self::TooMany => write!(f, "is one peer too many"),
        }
    }
}
