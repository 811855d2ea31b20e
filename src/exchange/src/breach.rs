use std::time::Duration;

use ringrift_config::NodeId;

use crate::wire::{ChunkId, WireError};

/// What a peer did that no peer does. Its session ends, and it is named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Breach {
    /// Not this protocol.
    #[error("sent {0}")]
    Wire(#[from] WireError),
    /// A name that is not the one it was let in with.
    #[error("calls itself {0}")]
    Name(NodeId),
    /// A frame before its greeting, or a second greeting.
    #[error("does not greet first, and once")]
    Greeting,
    /// A chunk or a refusal that nobody asked for.
    #[error("sent chunk {} of {}, which was not asked for", .0.chunk, .0.sha256)]
    Unasked(ChunkId),
    /// A chunk of another length.
    #[error("sent {found} bytes as chunk {} of {}, which has {expected}", which.chunk, which.sha256)]
    Size {
        /// Which chunk.
        which: ChunkId,
        /// Its length.
        expected: u32,
        /// What came.
        found: u32,
    },
    /// The same request while the first is open.
    #[error("asked for chunk {} of {} twice at once", .0.chunk, .0.sha256)]
    Twice(ChunkId),
    /// More open requests than the limit.
    #[error("asked for more than {0} chunks at once")]
    Greedy(usize),
    /// More frames than there can be reasons for.
    #[error("sent more than {0} frames a second")]
    Flood(u32),
    /// News of more blobs than a cluster has.
    #[error("announced more blobs that nobody wants than a cluster can have")]
    Blobs,
    /// News of chunks that the blob does not have.
    #[error("announced chunks that {0} does not have")]
    News(ringrift_blob::Digest),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The peer broke the protocol.
    #[error("{0}")]
    Breach(#[from] Breach),
    /// The peer said goodbye.
    #[error("said goodbye: {0:?}")]
    Farewell(crate::wire::Farewell),
    /// We said goodbye.
    #[error("was told goodbye: {0:?}")]
    Dismissed(crate::wire::Farewell),
    /// Nothing came, not even a sign of life.
    #[error("sent nothing for {0:?}")]
    Silent(Duration),
    /// It takes no bytes.
    #[error("took no bytes for {0:?}")]
    Stuck(Duration),
    /// The stream ended without a goodbye.
    #[error("closed the stream")]
    Closed,
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Broken(String),
}
