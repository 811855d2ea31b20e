//! What identifies bytes? Digests, chunks, and the names of models.
//!
//! Plain data and arithmetic: no clock, no socket, no disk.

mod blob;
mod chunk_digests;
mod chunk_set;
mod digest;
mod hasher;
mod model_name;

pub use blob::{Blob, CHUNK, InvalidBlob, MAX_SIZE};
pub use chunk_digests::ChunkDigests;
pub use chunk_set::{ChunkSet, InvalidChunkSet};
pub use digest::{Digest, InvalidDigest};
pub use hasher::BlobHasher;
pub use model_name::{InvalidModelName, ModelName};
