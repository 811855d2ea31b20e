use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::{Blob, ChunkDigests, Digest};

/// Bytes asked of a reader at a time: large enough that a system call costs nothing beside their digests.
const PIECE: usize = 1 << 20;

/// Computes a [`Blob`] from bytes that come in order, in pieces of any size.
pub struct BlobHasher {
    whole: Sha256,
    chunk: Sha256,
    in_chunk: u32,
    chunk_size: u32,
    size: u64,
    chunks: Vec<Digest>,
}

impl BlobHasher {
    /// Cuts into chunks of so many bytes.
    pub fn new(chunk_size: u32) -> Self {
        assert!(chunk_size > 0, "chunks have bytes");
        Self { whole: Sha256::new(), chunk: Sha256::new(), in_chunk: 0, chunk_size, size: 0, chunks: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.whole.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = (self.chunk_size - self.in_chunk) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.update(now);
            self.in_chunk += now.len() as u32;
            if self.in_chunk == self.chunk_size {
                self.end_chunk();
            }
            bytes = later;
        }
    }

    /// Takes all that a reader gives, and tells after each piece how many bytes it has taken in all.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn read_from(&mut self, mut reader: impl Read, mut taken: impl FnMut(u64)) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    self.update(&piece[..length]);
                    taken(self.size);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What all the bytes were.
    pub fn finish(mut self) -> Blob {
        if self.in_chunk > 0 {
            self.end_chunk();
        }
        Blob {
            sha256: Digest::from_bytes(self.whole.finalize().into()),
            size: self.size,
            chunk_size: self.chunk_size,
            chunks: self.chunks.into_iter().collect::<ChunkDigests>(),
        }
    }

    fn end_chunk(&mut self) {
        self.chunks.push(Digest::from_bytes(self.chunk.finalize_reset().into()));
        self.in_chunk = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives the bytes in short pieces, with an interruption before each.
    struct Stuttering<'a>(&'a [u8], bool);

    impl Read for Stuttering<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut buffer[..7]) }
        }
    }

    #[test]
    fn a_reader_is_taken_whole_and_its_errors_are_passed_on() {
        let bytes: Vec<u8> = (0..100).collect();
        let mut hasher = BlobHasher::new(16);
        let mut told = Vec::new();
        hasher.read_from(Stuttering(&bytes, false), |taken| told.push(taken)).unwrap();
        assert_eq!(hasher.finish().sha256, Digest::of(&bytes));
        assert_eq!((told.len(), told[0], told.last()), (15, 7, Some(&100)));
        let broken = bytes.as_slice().chain(Broken);
        assert!(BlobHasher::new(16).read_from(broken, |_| {}).is_err());
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_does_not_matter(bytes: Vec<u8>, cuts: Vec<prop::sample::Index>) {
            let mut whole = BlobHasher::new(16);
            whole.update(&bytes);
            let mut pieces = BlobHasher::new(16);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut start = 0;
            for cut in cuts {
                pieces.update(&bytes[start..cut]);
                start = cut;
            }
            pieces.update(&bytes[start..]);
            let blob = whole.finish();
            prop_assert_eq!(&blob, &pieces.finish());
            prop_assert_eq!(blob.sha256, Digest::of(&bytes));
            let chunks: ChunkDigests = bytes.chunks(16).map(Digest::of).collect();
            prop_assert_eq!(blob.chunks, chunks);
        }
    }
}
