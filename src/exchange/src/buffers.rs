use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are kept for the next chunks: fresh memory costs a page fault for every 4 KiB.
const KEPT: usize = 8 << 20;

/// Memory for chunks, used again and again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// So many bytes, with whatever was in them before. Goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Arc<Buffers>,
}

impl Buffers {
    pub(crate) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = free.buffers.pop().unwrap_or_default();
        free.bytes -= bytes.len();
        drop(free);
        if bytes.len() != length {
            bytes.resize(length, 0);
        }
        Buffer { bytes, home: Arc::clone(self) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.bytes + bytes.len() <= KEPT {
            free.bytes += bytes.len();
            free.buffers.push(bytes);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_up_to_the_bound() {
        let buffers = Arc::new(Buffers::default());
        let first = buffers.take(1 << 20);
        let at = first.as_ptr();
        drop(first);
        assert_eq!(buffers.take(1 << 20).as_ptr(), at);
        let many: Vec<_> = (0..20).map(|_| buffers.take(1 << 20)).collect();
        drop(many);
        assert_eq!(buffers.free.lock().unwrap().bytes, KEPT);
        assert_eq!(buffers.take(17).len(), 17);
        drop(buffers.take(16 << 20));
        assert!(buffers.free.lock().unwrap().bytes <= KEPT);
    }
}
