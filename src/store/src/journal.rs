//! Which chunks of a partial file were on the disk? A claim, checked again after a restart.
//!
//! Records of eight bytes: the chunk (u32, little-endian) and the first four bytes of SHA-256 over the blob's digest and the chunk. A
//! record that is torn or belongs to another blob fits its sum only by chance, and then the chunk's own digest refuses it.

use ringrift_blob::{ChunkSet, Digest};
use sha2::{Digest as _, Sha256};

const RECORD: usize = 8;

/// A record that says that this chunk is on the disk.
pub(crate) fn record(sha256: &Digest, chunk: u32) -> [u8; RECORD] {
    let number = chunk.to_le_bytes();
    let sum = Sha256::new().chain_update(sha256.as_bytes()).chain_update(number).finalize();
    let mut record = [0; RECORD];
    record[..4].copy_from_slice(&number);
    record[4..].copy_from_slice(&sum[..4]);
    record
}

/// The chunks that a journal claims, out of `count`.
pub(crate) fn claims(sha256: &Digest, count: u32, bytes: &[u8]) -> ChunkSet {
    let mut claimed = ChunkSet::new(count);
    for found in bytes.as_chunks::<RECORD>().0 {
        let chunk = u32::from_le_bytes([found[0], found[1], found[2], found[3]]);
        if chunk < count && record(sha256, chunk) == *found {
            claimed.insert(chunk);
        }
    }
    claimed
}

/// The most bytes that a journal of so many chunks has.
pub(crate) fn max_len(count: u32) -> u64 {
    // Each chunk once, and once more after a restart for those whose sync came too late.
    u64::from(count) * 2 * RECORD as u64
}
