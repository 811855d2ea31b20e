use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;
use ringrift_blob::Digest;

use crate::mapping::{Addresses, Mapping};

/// Bytes in the store, verified and open. It stays readable after its file is removed.
#[derive(Debug)]
pub struct Object {
    sha256: Digest,
    mapping: Arc<Mapping>,
}

impl Object {
    pub(crate) fn new(sha256: Digest, mapping: Arc<Mapping>) -> Self {
        Self { sha256, mapping }
    }

    /// What it is.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Its bytes, how many.
    pub fn size(&self) -> u64 {
        self.mapping.size()
    }

    /// Addresses of the part of `range` that exists. **They must not be read**, only be passed on to a writer that asks
    /// [`mapping::locate`](crate::mapping::locate).
    pub fn slice(&self, range: Range<u64>) -> Bytes {
        let clamp = |at: u64| usize::try_from(at.min(self.size())).unwrap_or(usize::MAX);
        let (start, end) = (clamp(range.start), clamp(range.end));
        Bytes::from_owner(Addresses { mapping: Arc::clone(&self.mapping), range: start.min(end)..end })
    }

    /// Reads into the buffer; how many bytes, fewer than it holds only at the end. No byte it returns is another than was verified.
    ///
    /// # Errors
    ///
    /// If somebody wrote to the file, or the system refuses.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.mapping.read_at(buffer, offset)
    }

    /// Whether its bytes are surely still those that were verified.
    pub fn unchanged(&self) -> bool {
        self.mapping.unchanged()
    }

    /// Whether somebody besides the store has it, or a slice of it.
    pub(crate) fn is_read(self: &Arc<Self>) -> bool {
        // Each slice has the mapping, too.
        Arc::strong_count(self) > 1 || Arc::strong_count(&self.mapping) > 1
    }

    /// The file behind it.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}
