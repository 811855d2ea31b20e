use std::fmt;

use crate::Blob;

/// Which chunks of a blob somebody has: one bit each.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChunkSet {
    len: u32,
    count: u32,
    words: Vec<u64>,
}

/// Why bytes are not the [`ChunkSet`] of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChunkSet {
    /// More or fewer bytes than the chunks need.
    #[error("{found} bytes for {len} chunks: they need {}", .len.div_ceil(8))]
    Length {
        /// Chunks.
        len: u32,
        /// Bytes.
        found: usize,
    },
    /// Bits after the last chunk.
    #[error("bits are set after chunk {len}, the last one")]
    Excess {
        /// Chunks.
        len: u32,
    },
}

impl ChunkSet {
    /// The empty set of so many chunks.
    pub fn new(len: u32) -> Self {
        Self { len, count: 0, words: vec![0; len.div_ceil(64) as usize] }
    }

    /// The set of all chunks.
    pub fn full(len: u32) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64) as usize];
        if let (Some(last), used @ 1..) = (words.last_mut(), len % 64) {
            *last = (1 << used) - 1;
        }
        Self { len, count: len, words }
    }

    /// The empty set of a blob's chunks.
    pub fn of(blob: &Blob) -> Self {
        Self::new(blob.count())
    }

    /// Adds a chunk; whether it was missing. One past the end is not added.
    pub fn insert(&mut self, chunk: u32) -> bool {
        let missing = chunk < self.len && !self.contains(chunk);
        if missing {
            self.words[chunk as usize / 64] |= 1 << (chunk % 64);
            self.count += 1;
        }
        missing
    }

    /// Takes a chunk out; whether it was there.
    pub fn remove(&mut self, chunk: u32) -> bool {
        let there = self.contains(chunk);
        if there {
            self.words[chunk as usize / 64] &= !(1 << (chunk % 64));
            self.count -= 1;
        }
        there
    }

    /// Whether a chunk is in it.
    pub fn contains(&self, chunk: u32) -> bool {
        chunk < self.len && self.words[chunk as usize / 64] >> (chunk % 64) & 1 == 1
    }

    /// How many chunks the blob has.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// How many chunks are in it.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether no chunk is in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether all chunks are in it.
    pub fn is_full(&self) -> bool {
        self.count == self.len
    }

    /// The chunks in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        bits(&self.words, |word| word)
    }

    /// The chunks that are not in it, in order.
    pub fn iter_missing(&self) -> impl Iterator<Item = u32> + '_ {
        bits(&self.words, |word| !word).take_while(|chunk| *chunk < self.len)
    }

    /// Adds all chunks of another set of the same blob; whether it is one: with another length it changes nothing.
    pub fn union(&mut self, other: &Self) -> bool {
        if self.len != other.len {
            return false;
        }
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
        self.count = self.words.iter().map(|word| word.count_ones()).sum();
        true
    }

    /// The bits, 64 chunks in each word, the lowest bit first. Those after the last chunk are zero.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Eight chunks in each byte, the lowest bit first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.truncate(self.len.div_ceil(8) as usize);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote, for a blob of so many chunks.
    ///
    /// # Errors
    ///
    /// If there are more or fewer bytes, or bits after the last chunk.
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Result<Self, InvalidChunkSet> {
        if bytes.len() != len.div_ceil(8) as usize {
            return Err(InvalidChunkSet::Length { len, found: bytes.len() });
        }
        let mut set = Self::new(len);
        for (word, bytes) in set.words.iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
        if set.words.last().is_some_and(|last| !len.is_multiple_of(64) && last >> (len % 64) > 0) {
            return Err(InvalidChunkSet::Excess { len });
        }
        set.count = set.words.iter().map(|word| word.count_ones()).sum();
        Ok(set)
    }
}

fn bits(words: &[u64], of: impl Fn(u64) -> u64) -> impl Iterator<Item = u32> {
    words.iter().enumerate().flat_map(move |(at, word)| {
        let mut left = of(*word);
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros())?;
            left &= left - 1;
            Some(at as u32 * 64 + bit)
        })
    })
}

impl fmt::Debug for ChunkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} of {} chunks]", self.count, self.len)
    }
}

impl Extend<u32> for ChunkSet {
    fn extend<I: IntoIterator<Item = u32>>(&mut self, chunks: I) {
        for chunk in chunks {
            self.insert(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(len in 0_u32..300, chunks: Vec<u16>) {
            let chunks: std::collections::BTreeSet<u32> = chunks.iter().map(|n| u32::from(*n) % 310).collect();
            let mut set = ChunkSet::new(len);
            for chunk in &chunks {
                prop_assert_eq!(set.insert(*chunk), *chunk < len);
                prop_assert!(!set.insert(*chunk));
            }
            let inside: Vec<u32> = chunks.into_iter().filter(|chunk| *chunk < len).collect();
            prop_assert_eq!(set.count() as usize, inside.len());
            prop_assert_eq!(set.is_full(), inside.len() == len as usize);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), &inside[..]);
            let mut missing = ChunkSet::new(len);
            missing.extend(set.iter_missing());
            prop_assert!(missing.iter().all(|chunk| !set.contains(chunk)));
            prop_assert_eq!(ChunkSet::from_bytes(len, &set.to_bytes()), Ok(set.clone()));
            prop_assert!(missing.union(&set) && missing == ChunkSet::full(len));
            prop_assert!(inside.iter().all(|chunk| set.remove(*chunk) && !set.contains(*chunk)) && set.is_empty());
        }
    }

    #[test]
    fn bytes_of_another_blob_are_refused() {
        assert_eq!(ChunkSet::from_bytes(9, &[0]), Err(InvalidChunkSet::Length { len: 9, found: 1 }));
        assert_eq!(ChunkSet::from_bytes(9, &[0; 3]).unwrap_err().to_string(), "3 bytes for 9 chunks: they need 2");
        assert_eq!(ChunkSet::from_bytes(9, &[0, 2]), Err(InvalidChunkSet::Excess { len: 9 }));
        assert!(!ChunkSet::new(9).union(&ChunkSet::full(10)));
    }
}
