use std::collections::VecDeque;

use bytes::Bytes;

/// The newest log entries, as frames that are encoded once for all watchers.
#[derive(Debug)]
pub(crate) struct Ring {
    frames: VecDeque<Bytes>,
    /// Index of the first frame; of the frame to come while there is none.
    first: u64,
    bytes: usize,
    /// Counts the recoveries: entries after one are no sequel to what a watcher was sent before it.
    era: u64,
    limits: RingLimits,
}

/// How much a [`Ring`] keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RingLimits {
    pub(crate) frames: usize,
    pub(crate) bytes: usize,
}

/// What a watcher that wants an entry gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These frames.
    Frames(Vec<Bytes>),
    /// Nothing yet.
    Wait,
    /// The entry is no longer at hand: a snapshot must come first.
    Gone,
    /// The cluster was recovered meanwhile: what the watcher holds may be from the lost one.
    Over,
}

impl Ring {
    /// A ring whose first entry will be `first`.
    pub(crate) fn new(first: u64, limits: RingLimits) -> Self {
        Self { frames: VecDeque::new(), first, bytes: 0, era: 0, limits }
    }

    /// Index of the oldest entry at hand, or of the entry to come.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Index of the entry to come.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Forgets everything: the entry to come is `first`.
    pub(crate) fn begin(&mut self, first: u64) {
        *self = Self { era: self.era, ..Self::new(first, self.limits) };
    }

    /// The era; see [`Next::Over`].
    pub(crate) fn era(&self) -> u64 {
        self.era
    }

    /// Watchers of before must begin anew.
    pub(crate) fn begin_era(&mut self) {
        self.era += 1;
    }

    /// Appends the entry to come.
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.frames.len() > self.limits.frames || self.bytes > self.limits.bytes {
            let Some(dropped) = self.frames.pop_front() else { break };
            self.bytes -= dropped.len();
            self.first += 1;
        }
    }

    /// Frames from the entry `wanted` on, of about `most` bytes together, for a watcher of `era`.
    pub(crate) fn from(&self, wanted: u64, most: usize, era: u64) -> Next {
        if era != self.era {
            return Next::Over;
        }
        let Some(skip) = wanted.checked_sub(self.first) else { return Next::Gone };
        let Ok(skip) = usize::try_from(skip) else { return Next::Wait };
        let mut taken = 0;
        let frames: Vec<Bytes> = self
            .frames
            .iter()
            .skip(skip)
            .take_while(|frame| {
                let fits = taken == 0 || taken + frame.len() <= most;
                taken += frame.len();
                fits
            })
            .cloned()
            .collect();
        if frames.is_empty() { Next::Wait } else { Next::Frames(frames) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RingLimits = RingLimits { frames: 4, bytes: 100 };

    fn ring(first: u64, sizes: &[usize]) -> Ring {
        let mut ring = Ring::new(first, LIMITS);
        for size in sizes {
            ring.push(vec![0; *size].into());
        }
        ring
    }

    fn sizes(next: Next) -> Option<Vec<usize>> {
        match next {
            Next::Frames(frames) => Some(frames.iter().map(Bytes::len).collect()),
            Next::Wait => Some(Vec::new()),
            Next::Gone | Next::Over => None,
        }
    }

    #[test]
    fn a_watcher_gets_what_it_lacks_or_hears_that_it_is_gone() {
        let ring = ring(10, &[1, 2, 3]);
        assert_eq!(sizes(ring.from(9, 1000, 0)), None);
        assert_eq!(sizes(ring.from(10, 1000, 0)), Some(vec![1, 2, 3]));
        assert_eq!(sizes(ring.from(12, 1000, 0)), Some(vec![3]));
        assert_eq!(sizes(ring.from(13, 1000, 0)), Some(vec![]));
        assert_eq!(sizes(ring.from(u64::MAX, 1000, 0)), Some(vec![]));
    }

    #[test]
    fn a_batch_is_bounded_and_never_empty() {
        let ring = ring(1, &[30, 30, 30]);
        assert_eq!(sizes(ring.from(1, 60, 0)), Some(vec![30, 30]));
        assert_eq!(sizes(ring.from(1, 59, 0)), Some(vec![30]));
        assert_eq!(sizes(ring.from(1, 0, 0)), Some(vec![30]));
    }

    #[test]
    fn a_watcher_from_before_a_recovery_gets_nothing_more() {
        let mut ring = ring(1, &[1, 2]);
        ring.begin_era();
        ring.begin(7);
        assert_eq!(ring.from(1, 1000, 0), Next::Over);
        assert_eq!(ring.from(7, 1000, ring.era()), Next::Wait);
    }

    #[test]
    fn old_entries_make_room_for_new_ones_by_number_and_by_size() {
        let by_number = ring(1, &[1; 7]);
        assert_eq!((by_number.first(), by_number.next()), (4, 8));
        let by_size = ring(1, &[60, 60]);
        assert_eq!((by_size.first(), by_size.next()), (2, 3));
        let too_large = ring(1, &[1, 1, 200]);
        assert_eq!((too_large.first(), too_large.next()), (4, 4), "its watchers need a snapshot");
        assert_eq!(sizes(too_large.from(3, 1000, 0)), None);
    }
}
