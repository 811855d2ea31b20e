use ringrift_state::{Agreed, decode};

use crate::wire::MAX_SNAPSHOT;

/// Puts a snapshot together.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Adds a piece; says what is wrong if there are too many.
    pub(crate) fn add(&mut self, part: &[u8]) -> Result<(), String> {
        if self.bytes.len() + part.len() > MAX_SNAPSHOT {
            return Err(format!("its snapshot is larger than {} MiB", MAX_SNAPSHOT >> 20));
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Whether a snapshot was begun and not ended.
    pub(crate) fn has_part(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The snapshot, when all pieces are there.
    pub(crate) fn end(&mut self) -> Result<Agreed, String> {
        let bytes = std::mem::take(&mut self.bytes);
        decode(&bytes).map_err(|error| format!("its snapshot cannot be decoded: {error}"))
    }
}
