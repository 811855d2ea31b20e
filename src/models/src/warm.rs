//! Are bytes of a file in memory? A disk that is waited for inside sendfile(2) would hold up every other client of the thread.

use std::{
    io::IoSliceMut,
    ops::Range,
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use ringrift_store::{Object, mapping::MAX_SEND};
use rustix::{
    fs::fstat,
    io::{Errno, ReadWriteFlags, pread, preadv2},
};

/// Distance of the samples. The kernel reads ahead in pieces of 128 KiB and more, and evicts in such pieces too.
const SAMPLE: u64 = 128 << 10;

/// Bytes of a page, the unit that is in memory or not.
const PAGE: u64 = 4096;

/// How far to read ahead, in pieces.
const AHEAD: u64 = 4;

/// How long an answer counts. Pages that were there a second ago are evicted only under a memory pressure that hurts everybody.
const FRESH_MS: u32 = 1000;

/// Which parts of an object were found in memory just now. Looking costs more than sending a small range.
#[derive(Debug)]
pub(crate) struct Warmth {
    begun: Instant,
    /// For each region of [`MAX_SEND`] bytes: milliseconds since `begun`, plus one, when it was last found in memory.
    regions: Box<[AtomicU32]>,
}

impl Warmth {
    pub(crate) fn of(object: &Object) -> Self {
        let regions = object.size().div_ceil(MAX_SEND as u64);
        Self { begun: Instant::now(), regions: (0..regions).map(|_| AtomicU32::new(0)).collect() }
    }

    /// Whether reading here would wait for the disk, as far as samples tell. Asking does not wait, and starts no reading.
    pub(crate) fn is_cold(&self, object: &Object, piece: &Range<u64>) -> bool {
        let size = MAX_SEND as u64;
        // It wraps after 49 days, which costs a look too many or, for a second, one too few.
        let now = (self.begun.elapsed().as_millis() as u32).wrapping_add(1);
        (piece.start / size..piece.end.div_ceil(size)).any(|region| {
            let Some(seen) = self.regions.get(region as usize) else { return false };
            let last = seen.load(Ordering::Relaxed);
            if last != 0 && now.wrapping_sub(last) < FRESH_MS {
                return false;
            }
            let cold = is_cold(object, &(region * size..((region + 1) * size).min(object.size())));
            if !cold {
                seen.store(now, Ordering::Relaxed);
            }
            cold
        })
    }
}

fn is_cold(object: &Object, piece: &Range<u64>) -> bool {
    let last = piece.end - 1;
    (piece.start..last).step_by(SAMPLE as usize).chain([last]).any(|at| {
        let mut byte = [0];
        let read = preadv2(object.mapping(), &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT);
        read == Err(Errno::AGAIN)
    })
}

/// Reads a piece into memory, and tells the kernel what comes after it. It waits for the disk: for the blocking pool.
pub(crate) fn warm(object: &Object, piece: &Range<u64>, end: u64) {
    let ahead = (piece.start + AHEAD * MAX_SEND as u64).min(end);
    object.mapping().prefetch(piece.start, ahead - piece.start);
    // The advice starts the reading and does not wait for it; a byte of each page does, without copying the others.
    for at in piece.clone().step_by(PAGE as usize) {
        if !matches!(pread(object.mapping(), &mut [0], at), Ok(1)) {
            return;
        }
    }
}

/// When the object's file was written, whole seconds.
pub(crate) fn written(object: &Object) -> std::time::SystemTime {
    let seconds = fstat(object.mapping()).map_or(0, |stat| stat.st_mtime.max(0).cast_unsigned());
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}
