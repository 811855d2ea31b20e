use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chunked::Chunked;
use crate::{Event, NewEvent};

/// The newest events, oldest first, with consecutive sequence numbers. A clone is cheap: it shares the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(try_from = "Vec<Arc<Event>>")]
#[serde(into = "Events")]
pub struct EventLog {
    events: Events,
    bytes: usize,
}

type Events = Chunked<Arc<Event>>;

impl EventLog {
    /// How many events are kept.
    pub const MAX: usize = 4096;
    /// How many bytes of events are kept, by [`NewEvent`]'s own count: a snapshot must fit into one message between voters.
    pub const MAX_BYTES: usize = 2 << 20;

    /// The highest sequence number that is read: the highest that every JSON reader keeps exactly.
    pub const MAX_SEQ: u64 = 1 << 53;

    /// The events, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// The events after sequence number `seq`, oldest first.
    pub fn since(&self, seq: u64) -> impl Iterator<Item = &Arc<Event>> {
        let skip = self.front().map_or(0, |oldest| seq.saturating_add(1).saturating_sub(oldest.seq));
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
        while self.len() > 1 && (self.len() > Self::MAX || self.bytes > Self::MAX_BYTES) {
            let dropped = self.events.pop_front();
            self.bytes = self.bytes.saturating_sub(dropped.map_or(0, |event| event.event.size()));
        }
        seq
    }
}

/// Events that cannot be one log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenSequence {
    /// Something is missing between two of them.
    #[error("event {found} follows event {after}: sequence numbers must have no gaps")]
    Gap {
        /// Sequence number before the gap.
        after: u64,
        /// Sequence number after it.
        found: u64,
    },
    /// A number that no event can have.
    #[error("event {found} cannot be: sequence numbers go from 1 to {max}", max = EventLog::MAX_SEQ)]
    Outside {
        /// The number.
        found: u64,
    },
}

impl TryFrom<Vec<Arc<Event>>> for EventLog {
    type Error = BrokenSequence;

    fn try_from(events: Vec<Arc<Event>>) -> Result<Self, Self::Error> {
        if let Some(outside) = events.iter().find(|event| event.seq == 0 || event.seq > Self::MAX_SEQ) {
            return Err(BrokenSequence::Outside { found: outside.seq });
        }
        if let Some(pair) = events.windows(2).find(|pair| pair[0].seq + 1 != pair[1].seq) {
            return Err(BrokenSequence::Gap { after: pair[0].seq, found: pair[1].seq });
        }
        let bytes = events.iter().fold(0, |sum: usize, event| sum.saturating_add(event.event.size()));
        Ok(Self { events: events.into_iter().collect(), bytes })
    }
}

impl From<EventLog> for Events {
    fn from(log: EventLog) -> Self {
        log.events
    }
}
