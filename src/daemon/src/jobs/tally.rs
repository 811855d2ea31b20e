//! What this node has counted since its start, while it led.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of the leader.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests for which the queue had no room.
    pub(crate) queue_refused: Counter,
    /// Nodes that got no more jobs of a class for a while, because those had not worked out there.
    pub(crate) dispatch_failed: Counter,
}

/// One that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
