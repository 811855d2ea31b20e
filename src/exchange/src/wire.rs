//! What goes over a stream between two nodes.
//!
//! A frame is its length (u32, big-endian), one byte for its kind, and its content; the length counts kind and content. All
//! numbers are big-endian, a digest is 32 bytes. Each end begins with `Hello`, whose first byte is the protocol's version,
//! so that a later version can differ in everything behind it.
//!
//! Every `Request` is answered by exactly one `Data` or `Refused`, also after a `Cancel`. So each end knows at any time
//! what may still arrive, and anything else is a breach.
//!
//! The decoder is pure. It looks at length and kind before it waits for content, and each kind has its own bound, so that
//! nobody makes it hold more than [`MAX_CONTROL`] bytes. The bytes of a chunk never pass through it: it only tells that
//! they follow.

use bytes::{Buf, BufMut, BytesMut};
use ringrift_blob::Digest;
use ringrift_config::NodeId;

/// The protocol's version, which is also in the name of the HTTP upgrade.
pub const VERSION: u8 = 1;
/// Chunks that the largest blob in the smallest pieces has: see [`ringrift_blob::Blob::check`].
pub const MAX_CHUNKS: u32 = 1 << 22;
/// Bytes of the largest chunk.
pub const MAX_CHUNK: u32 = 16 << 20;
/// Chunks that one `Have` names at most.
pub const MAX_NEWS: usize = 1024;
/// Bytes of the longest frame that is not `Data`, without its length: `Has` for [`MAX_CHUNKS`].
pub const MAX_CONTROL: usize = 1 + Digest::LEN + 4 + (MAX_CHUNKS as usize).div_ceil(8);
/// Bytes before the chunk's own in a `Data` frame, the length included.
pub const DATA_HEADER: usize = LENGTH + 1 + WHICH;

const LENGTH: usize = 4;
const WHICH: usize = Digest::LEN + 4;

/// A chunk of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId {
    /// The blob.
    pub sha256: Digest,
    /// Which of its chunks.
    pub chunk: u32,
}

/// All frames but `Data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The first frame in each direction.
    Hello {
        /// Who speaks.
        node: NodeId,
        /// Drawn at start: tells a restarted node from the one that was there before.
        instance: u64,
    },
    /// All that the sender has of a blob, now. Takes the place of what it said before.
    Has {
        /// The blob.
        sha256: Digest,
        /// How many chunks it has.
        count: u32,
        /// One bit for each, in the order of [`ringrift_blob::ChunkSet::to_bytes`].
        bits: Vec<u8>,
    },
    /// News: the sender has these too, at most [`MAX_NEWS`].
    Have {
        /// The blob.
        sha256: Digest,
        /// Which chunks.
        chunks: Vec<u32>,
    },
    /// Send me this chunk.
    Request(ChunkId),
    /// I do not: because of other uploads, or because I have it not.
    Refused {
        /// What was requested.
        which: ChunkId,
        /// Whether it is worth asking again.
        busy: bool,
    },
    /// I no longer need this chunk. The request is still answered.
    Cancel(ChunkId),
    /// I no longer have this blob.
    Forget(Digest),
    /// I am still here.
    KeepAlive,
    /// The sender closes the stream, for a reason that is no fault.
    Bye(Farewell),
}

/// Why a stream is closed without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Farewell {
    /// Both ends have all they want.
    Idle = 1,
    /// There is another stream between the two.
    Duplicate = 2,
    /// The node stops.
    Stopping = 3,
    /// The node has as many streams as it may.
    Full = 4,
    /// The other end lied, or was dead, a short while ago.
    Banned = 5,
}

impl Farewell {
    const ALL: [Self; 5] = [Self::Idle, Self::Duplicate, Self::Stopping, Self::Full, Self::Banned];
}

/// Why bytes are no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No kind of this version.
    #[error("a frame of kind {0}, which version {VERSION} does not have")]
    Kind(u8),
    /// A length that this kind never has.
    #[error("a frame of kind {kind} with {length} bytes")]
    Length {
        /// Its kind.
        kind: u8,
        /// Its length, the kind included.
        length: u32,
    },
    /// Another version.
    #[error("version {0} of the protocol instead of {VERSION}: upgrade the older node")]
    Version(u8),
    /// A greeting without a proper node id.
    #[error("a greeting without a proper node id")]
    Name,
    /// Numbers that no blob has.
    #[error("{0}")]
    Content(&'static str),
}

/// What comes next from the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A whole frame.
    Frame(Frame),
    /// So many bytes of a chunk, which follow.
    Data {
        /// Which chunk, as the sender says.
        which: ChunkId,
        /// Bytes that follow, 1 to [`MAX_CHUNK`].
        length: u32,
    },
}

mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const HAS: u8 = 2;
    pub(super) const HAVE: u8 = 3;
    pub(super) const REQUEST: u8 = 4;
    pub(super) const DATA: u8 = 5;
    pub(super) const REFUSED: u8 = 6;
    pub(super) const CANCEL: u8 = 7;
    pub(super) const FORGET: u8 = 8;
    pub(super) const KEEP_ALIVE: u8 = 9;
    pub(super) const BYE: u8 = 10;
}

/// Takes the next frame off `buffer`; `None` if more bytes must come first. Nothing is consumed in that case.
///
/// # Errors
///
/// If the bytes are no frame of this version. The stream cannot be read any further.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<Next>, WireError> {
    let Some((head, _)) = buffer.split_first_chunk::<{ LENGTH + 1 }>() else { return Ok(None) };
    let [l0, l1, l2, l3, kind] = *head;
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    let content = bounded(kind, length)?;
    if kind == kind::DATA {
        if buffer.len() < DATA_HEADER {
            return Ok(None);
        }
        let mut header = buffer.split_to(DATA_HEADER).split_off(LENGTH + 1);
        return Ok(Some(Next::Data { which: which(&mut header), length: (content - WHICH) as u32 }));
    }
    if buffer.len() < LENGTH + length as usize {
        return Ok(None);
    }
    let mut body = buffer.split_to(LENGTH + length as usize).split_off(LENGTH + 1);
    read(kind, &mut body).map(|frame| Some(Next::Frame(frame)))
}

/// Bytes of content, if this kind may have so many.
fn bounded(kind: u8, length: u32) -> Result<usize, WireError> {
    let (least, most) = match kind {
        kind::HELLO => (9 + 1, 9 + NodeId::MAX_LEN),
        kind::HAS => (WHICH + 1, MAX_CONTROL - 1),
        kind::HAVE => (Digest::LEN + 4, Digest::LEN + 4 * MAX_NEWS),
        kind::REQUEST | kind::CANCEL => (WHICH, WHICH),
        kind::DATA => (WHICH + 1, WHICH + MAX_CHUNK as usize),
        kind::REFUSED => (WHICH + 1, WHICH + 1),
        kind::FORGET => (Digest::LEN, Digest::LEN),
        kind::KEEP_ALIVE => (0, 0),
        kind::BYE => (1, 1),
        other => return Err(WireError::Kind(other)),
    };
    let content = (length as usize).checked_sub(1).filter(|content| (least..=most).contains(content));
    content.ok_or(WireError::Length { kind, length })
}

/// Reads content whose length was checked by [`bounded`].
fn read(kind: u8, body: &mut BytesMut) -> Result<Frame, WireError> {
    Ok(match kind {
        kind::HELLO => {
            let version = body.get_u8();
            if version != VERSION {
                return Err(WireError::Version(version));
            }
            let instance = body.get_u64();
            let name = std::str::from_utf8(body).map_err(|_| WireError::Name)?;
            Frame::Hello { node: name.parse().map_err(|_| WireError::Name)?, instance }
        }
        kind::HAS => {
            let ChunkId { sha256, chunk: count } = which(body);
            if count == 0 || count > MAX_CHUNKS || body.len() != (count as usize).div_ceil(8) {
                return Err(WireError::Content("a bitmap that does not fit its number of chunks"));
            }
            Frame::Has { sha256, count, bits: body.to_vec() }
        }
        kind::HAVE => {
            let sha256 = digest(body);
            if !body.len().is_multiple_of(4) {
                return Err(WireError::Content("news that are no list of chunks"));
            }
            let (numbers, _) = body.as_chunks::<4>();
            Frame::Have { sha256, chunks: numbers.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect() }
        }
        kind::REQUEST => Frame::Request(which(body)),
        kind::REFUSED => {
            let which = which(body);
            match body.get_u8() {
                0 => Frame::Refused { which, busy: false },
                1 => Frame::Refused { which, busy: true },
                _ => return Err(WireError::Content("a refusal that is neither busy nor not")),
            }
        }
        kind::CANCEL => Frame::Cancel(which(body)),
        kind::FORGET => Frame::Forget(digest(body)),
        kind::KEEP_ALIVE => Frame::KeepAlive,
        kind::BYE => {
            let reason = body.get_u8();
            let known = Farewell::ALL.into_iter().find(|farewell| *farewell as u8 == reason);
            Frame::Bye(known.ok_or(WireError::Content("a farewell without a known reason"))?)
        }
        other => return Err(WireError::Kind(other)),
    })
}

fn digest(body: &mut BytesMut) -> Digest {
    let mut bytes = [0; Digest::LEN];
    body.copy_to_slice(&mut bytes);
    Digest::from_bytes(bytes)
}

fn which(body: &mut BytesMut) -> ChunkId {
    ChunkId { sha256: digest(body), chunk: body.get_u32() }
}

/// Appends a frame.
pub fn encode(frame: &Frame, buffer: &mut BytesMut) {
    let start = buffer.len();
    buffer.put_u32(0);
    match frame {
        Frame::Hello { node, instance } => {
            buffer.put_u8(kind::HELLO);
            buffer.put_u8(VERSION);
            buffer.put_u64(*instance);
            buffer.put_slice(node.as_str().as_bytes());
        }
        Frame::Has { sha256, count, bits } => {
            put_which(buffer, kind::HAS, ChunkId { sha256: *sha256, chunk: *count });
            buffer.put_slice(bits);
        }
        Frame::Have { sha256, chunks } => {
            buffer.put_u8(kind::HAVE);
            buffer.put_slice(sha256.as_bytes());
            for chunk in chunks {
                buffer.put_u32(*chunk);
            }
        }
        Frame::Request(which) => put_which(buffer, kind::REQUEST, *which),
        Frame::Refused { which, busy } => {
            put_which(buffer, kind::REFUSED, *which);
            buffer.put_u8(u8::from(*busy));
        }
        Frame::Cancel(which) => put_which(buffer, kind::CANCEL, *which),
        Frame::Forget(sha256) => {
            buffer.put_u8(kind::FORGET);
            buffer.put_slice(sha256.as_bytes());
        }
        Frame::KeepAlive => buffer.put_u8(kind::KEEP_ALIVE),
        Frame::Bye(farewell) => {
            buffer.put_u8(kind::BYE);
            buffer.put_u8(*farewell as u8);
        }
    }
    let length = (buffer.len() - start - LENGTH) as u32;
    buffer[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
}

/// Appends what comes before the bytes of a chunk.
pub fn encode_data_header(which: ChunkId, length: u32, buffer: &mut BytesMut) {
    buffer.put_u32(length + (1 + WHICH) as u32);
    put_which(buffer, kind::DATA, which);
}

fn put_which(buffer: &mut BytesMut, kind: u8, which: ChunkId) {
    buffer.put_u8(kind);
    buffer.put_slice(which.sha256.as_bytes());
    buffer.put_u32(which.chunk);
}

#[cfg(test)]
mod tests;
