//! What goes over a stream.
//!
//! Each side begins with one byte, the protocol's version. The watcher then sends one [`Hello`] and nothing more; the
//! voter sends frames until either side is gone. A frame is its length (u32, big-endian, at most 8 MiB), and that many
//! bytes: one for its kind and the rest for its content.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use ringrift_config::NodeId;
use ringrift_state::{Command, EntryMeta, encode};
use serde::{Deserialize, Serialize};
use tokio_util::codec::LengthDelimitedCodec;

/// The protocol's version. Fields with defaults may be added without a new one.
pub(crate) const VERSION: u8 = 1;
/// The longest frame, without its length.
pub(crate) const MAX_FRAME: usize = 8 << 20;
/// The longest greeting, without its length.
pub(crate) const MAX_HELLO: usize = 16 << 10;
/// How much of a snapshot one frame carries.
pub(crate) const SNAPSHOT_PART: usize = 1 << 20;
/// The largest snapshot that is accepted: ten times what the bounds of the state allow.
pub(crate) const MAX_SNAPSHOT: usize = 64 << 20;

/// What a watcher says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The watcher.
    pub(crate) node: NodeId,
    /// The cluster whose state it holds; empty if it holds none.
    #[serde(default)]
    pub(crate) cluster_id: String,
    /// The entry that it wants next; 0 if it wants a snapshot.
    #[serde(default)]
    pub(crate) from_index: u64,
    /// The highest term in which it heard of a leader.
    #[serde(default)]
    pub(crate) term: u64,
}

/// What a voter says about the leadership: first of all, at every change, and at every heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The voter's cluster; empty while it has none.
    #[serde(default)]
    pub(crate) cluster_id: String,
    /// Raft term.
    pub(crate) term: u64,
    /// The leader in that term.
    #[serde(default)]
    pub(crate) leader: Option<NodeId>,
    /// Raft's membership.
    #[serde(default)]
    pub(crate) voters: BTreeSet<NodeId>,
    /// Index up to which the log is committed.
    #[serde(default)]
    pub(crate) committed: u64,
    /// Milliseconds since the voter knew a live leader.
    #[serde(default)]
    pub(crate) leader_seen_ms: Option<u64>,
}

/// A committed log entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) meta: EntryMeta,
    /// None where the entry only moves the index on.
    #[serde(default)]
    pub(crate) command: Option<Command>,
}

/// What a frame holds, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A [`Report`].
    Report = 1,
    /// An [`Entry`].
    Entry = 2,
    /// A piece of an encoded [`ringrift_state::Agreed`], and not the last.
    SnapshotPart = 3,
    /// The last piece.
    SnapshotEnd = 4,
    /// Text: why the voter does not serve this watcher. The stream ends.
    Refusal = 5,
}

impl Kind {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Report, Self::Entry, Self::SnapshotPart, Self::SnapshotEnd, Self::Refusal]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Why a frame cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The value has no encoding.
    #[error("cannot encode: {0}")]
    Encode(String),
    /// It is too long.
    #[error("{0} bytes are more than a frame holds ({MAX_FRAME})")]
    TooLong(usize),
}

/// A whole frame, its length included.
pub(crate) fn frame(kind: Kind, content: &[u8]) -> Result<Bytes, FrameError> {
    let length = content.len() + 1;
    if length > MAX_FRAME {
        return Err(FrameError::TooLong(length));
    }
    let mut frame = BytesMut::with_capacity(4 + length);
    frame.put_u32(length as u32);
    frame.put_u8(kind as u8);
    frame.put_slice(content);
    Ok(frame.freeze())
}

/// A whole frame with an encoded value.
pub(crate) fn value_frame<T: Serialize>(kind: Kind, value: &T) -> Result<Bytes, FrameError> {
    let content = encode(value).map_err(|error| FrameError::Encode(error.to_string()))?;
    frame(kind, &content)
}

/// The version and the greeting, as they are sent.
pub(crate) fn greeting(hello: &Hello) -> Result<Bytes, FrameError> {
    let content = encode(hello).map_err(|error| FrameError::Encode(error.to_string()))?;
    let mut bytes = BytesMut::with_capacity(5 + content.len());
    bytes.put_u8(VERSION);
    bytes.put_u32(content.len() as u32);
    bytes.put_slice(&content);
    Ok(bytes.freeze())
}

/// Cuts a stream into frames.
pub(crate) fn codec(max: usize) -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(max).new_codec()
}
