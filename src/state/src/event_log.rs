use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Event, NewEvent};

/// The newest events, oldest first, with consecutive sequence numbers.
///
/// Events are shared between clones of the log, since a new state is published after every apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(try_from = "VecDeque<Arc<Event>>", into = "VecDeque<Arc<Event>>")]
pub struct EventLog {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl EventLog {
    /// How many events are kept.
    pub const MAX: usize = 4096;
    /// How many bytes of events are kept, by [`NewEvent`]'s own count: a snapshot must fit into one message between voters.
    pub const MAX_BYTES: usize = 2 << 20;

    /// The events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> + ExactSizeIterator {
        self.events.iter()
    }

    /// The events after sequence number `seq`, oldest first.
    pub fn since(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> + ExactSizeIterator {
        let skip = self.front().map_or(0, |oldest| (seq.saturating_add(1)).saturating_sub(oldest.seq));
        self.events.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX))
    }

    /// The oldest event kept.
    pub fn front(&self) -> Option<&Arc<Event>> {
        self.events.front()
    }

    /// The newest event.
    pub fn back(&self) -> Option<&Arc<Event>> {
        self.events.back()
    }

    /// How many events are kept now.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Sequence number of the newest event; 0 when there is none. The newest event is never dropped.
    pub fn last_seq(&self) -> u64 {
        self.back().map_or(0, |event| event.seq)
    }

    /// Appends, drops what no longer fits, and answers with the sequence number.
    pub(crate) fn push(&mut self, event: NewEvent) -> u64 {
        let event = event.bounded();
        let seq = self.last_seq() + 1;
        self.bytes += event.size();
        self.events.push_back(Arc::new(Event { seq, event }));
        while self.events.len() > 1 && (self.events.len() > Self::MAX || self.bytes > Self::MAX_BYTES) {
            let dropped = self.events.pop_front();
            self.bytes -= dropped.map_or(0, |event| event.event.size());
        }
        seq
    }
}

/// Events that cannot be one log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {found} follows event {after}: sequence numbers must have no gaps")]
pub struct BrokenSequence {
    /// Sequence number before the gap.
    pub after: u64,
    /// Sequence number after it.
    pub found: u64,
}

impl TryFrom<VecDeque<Arc<Event>>> for EventLog {
    type Error = BrokenSequence;

    fn try_from(events: VecDeque<Arc<Event>>) -> Result<Self, Self::Error> {
        for (one, next) in events.iter().zip(events.iter().skip(1)) {
            if one.seq.checked_add(1) != Some(next.seq) {
                return Err(BrokenSequence { after: one.seq, found: next.seq });
            }
        }
        let bytes = events.iter().map(|event| event.event.size()).sum();
        Ok(Self { events, bytes })
    }
}

impl From<EventLog> for VecDeque<Arc<Event>> {
    fn from(log: EventLog) -> Self {
        log.events
    }
}
