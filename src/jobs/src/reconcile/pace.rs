use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many starts in any second.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: usize,
    last: VecDeque<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: usize) -> Self {
        Self { per_second: per_second.max(1), last: VecDeque::new() }
    }

    pub(super) fn set(&mut self, per_second: usize) {
        self.per_second = per_second.max(1);
    }

    /// Whether one more may start now; it counts as started then.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let second = Duration::from_secs(1);
        while self.last.front().is_some_and(|then| now.saturating_duration_since(*then) >= second) {
            self.last.pop_front();
        }
        let free = self.last.len() < self.per_second;
        if free {
            self.last.push_back(now);
        }
        free
    }
}
