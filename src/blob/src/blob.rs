use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{ChunkDigests, Digest};

/// Bytes of a chunk, the unit that is verified and announced. Measured: below it the client's CPU time per byte grows, above it
/// nothing is gained.
pub const CHUNK: u32 = 256 << 10;

/// The largest blob, bytes: a hundred times the largest model.
pub const MAX_SIZE: u64 = 16 << 30;

/// Bytes, by what they are: whoever has all of a blob can prove it, chunk by chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// SHA-256 of the whole.
    pub sha256: Digest,
    /// Bytes of the whole.
    pub size: u64,
    /// Bytes of each chunk but the last.
    pub chunk_size: u32,
    /// SHA-256 of each chunk.
    pub chunks: ChunkDigests,
}

/// Why a [`Blob`] cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBlob {
    /// Nothing, or more than a node would store.
    #[error("{0} bytes: a model has 1 to {MAX_SIZE} bytes")]
    Size(u64),
    /// Chunks that nobody cuts.
    #[error("chunks of {0} bytes: they have a power of two from 4 KiB to 16 MiB")]
    ChunkSize(u32),
    /// The list does not fit the sizes.
    #[error("{found} chunk digests where {expected} are needed")]
    Count {
        /// How many the sizes need.
        expected: u32,
        /// How many there are.
        found: usize,
    },
}

impl Blob {
    /// Whether its figures fit together. Everything that came from outside is checked before it is used.
    ///
    /// # Errors
    ///
    /// What does not fit.
    pub fn check(&self) -> Result<(), InvalidBlob> {
        if self.size == 0 || self.size > MAX_SIZE {
            return Err(InvalidBlob::Size(self.size));
        }
        if !self.chunk_size.is_power_of_two() || !((4 << 10)..=(16 << 20)).contains(&self.chunk_size) {
            return Err(InvalidBlob::ChunkSize(self.chunk_size));
        }
        let (expected, found) = (self.count(), self.chunks.len());
        if expected as usize != found {
            return Err(InvalidBlob::Count { expected, found });
        }
        Ok(())
    }

    /// How many chunks there are. At most 2^22, by the limits of [`check`](Self::check).
    pub fn count(&self) -> u32 {
        self.size.div_ceil(u64::from(self.chunk_size)) as u32
    }

    /// Where a chunk lies, in bytes; empty past the end.
    pub fn range(&self, chunk: u32) -> Range<u64> {
        let start = (u64::from(chunk) * u64::from(self.chunk_size)).min(self.size);
        start..(start + u64::from(self.chunk_size)).min(self.size)
    }

    /// Whether these are the bytes of a chunk.
    pub fn verify(&self, chunk: u32, bytes: &[u8]) -> bool {
        let range = self.range(chunk);
        bytes.len() as u64 == range.end - range.start && self.chunks.get(chunk) == Some(Digest::of(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlobHasher;

    fn blob(bytes: &[u8], chunk_size: u32) -> Blob {
        let mut hasher = BlobHasher::new(chunk_size);
        hasher.update(bytes);
        hasher.finish()
    }

    #[test]
    fn each_byte_lies_in_one_chunk() {
        for size in [1, 4095, 4096, 4097, 8192, 10_000] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let blob = blob(&bytes, 4096);
            blob.check().unwrap();
            let mut next = 0;
            for chunk in 0..blob.count() {
                let range = blob.range(chunk);
                assert_eq!(range.start, next);
                next = range.end;
                let part = &bytes[range.start as usize..range.end as usize];
                assert!(blob.verify(chunk, part) && !blob.verify(chunk, &part[1..]));
            }
            assert_eq!(next, size);
            assert!(blob.range(blob.count()).is_empty() && !blob.verify(blob.count(), &[]));
        }
    }

    #[test]
    fn figures_that_do_not_fit_are_refused() {
        let good = blob(&[7; 10_000], 4096);
        for (bad, why) in [
            (Blob { size: 0, ..good.clone() }, "0 bytes"),
            (Blob { size: MAX_SIZE + 1, ..good.clone() }, "1 to"),
            (Blob { size: 12_289, ..good.clone() }, "3 chunk digests where 4"),
            (Blob { chunk_size: 5000, ..good.clone() }, "power of two"),
            (Blob { chunk_size: 0, ..good.clone() }, "power of two"),
            (Blob { chunk_size: 1 << 30, ..good }, "16 MiB"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(why), "{bad:?}");
        }
    }
}
