use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::breach::Breach;
use crate::storage::Sink;
use crate::wire::ChunkId;

/// Requests that a peer may have open at once: far more than any line holds under way, and 128 KiB here.
pub(crate) const MAX_ASKED: usize = 1024;

/// What is still due between two nodes: answers to our requests, and to the peer's.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    wanted: HashMap<ChunkId, Due>,
    asked: HashSet<ChunkId>,
}

/// A chunk that the peer owes us.
#[derive(Debug, Clone)]
pub(crate) struct Due {
    /// Its bytes, exactly.
    pub(crate) length: u32,
    /// Where it goes; gone when nobody wants it any longer.
    pub(crate) sink: Weak<dyn Sink>,
    /// Which life of the fetch it belongs to.
    pub(crate) life: u64,
    standing: Standing,
}

/// What we said of a request since it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    Open,
    /// That it is no longer needed.
    Cancelled,
    /// The planner wants it again; the peer was only told the opposite.
    Renewed,
}

/// What a refusal means for the planner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The peer refuses.
    Real,
    /// It answers a cancellation that was taken back meanwhile: ask again.
    Stale,
    /// It answers a cancellation.
    Expected,
}

impl Ledger {
    /// Notes a request of ours. False if it is open already and need not be sent.
    pub(crate) fn request(&self, which: ChunkId, length: u32, (sink, life): (&Arc<dyn Sink>, u64)) -> bool {
        let mut books = self.books();
        let sink = Arc::downgrade(sink);
        if let Some(due) = books.wanted.get_mut(&which) {
            (due.sink, due.life) = (sink, life);
            if due.standing == Standing::Cancelled {
                due.standing = Standing::Renewed;
            }
            return false;
        }
        books.wanted.insert(which, Due { length, sink, life, standing: Standing::Open });
        true
    }

    /// Notes that an answer is no longer needed. False if none is due.
    pub(crate) fn cancel(&self, which: ChunkId) -> bool {
        let mut books = self.books();
        let due = books.wanted.get_mut(&which).filter(|due| due.standing != Standing::Cancelled);
        due.map(|due| due.standing = Standing::Cancelled).is_some()
    }

    /// Strikes out what comes now with so many bytes.
    pub(crate) fn comes(&self, which: ChunkId, length: u32) -> Result<Due, Breach> {
        let due = self.books().wanted.remove(&which).ok_or(Breach::Unasked(which))?;
        if due.length != length {
            return Err(Breach::Size { which, expected: due.length, found: length });
        }
        Ok(due)
    }

    /// Strikes out what will not come.
    pub(crate) fn refused(&self, which: ChunkId) -> Result<Refusal, Breach> {
        let due = self.books().wanted.remove(&which).ok_or(Breach::Unasked(which))?;
        Ok(match due.standing {
            Standing::Open => Refusal::Real,
            Standing::Cancelled => Refusal::Expected,
            Standing::Renewed => Refusal::Stale,
        })
    }

    /// Notes a request of the peer.
    pub(crate) fn asked(&self, which: ChunkId) -> Result<(), Breach> {
        let mut books = self.books();
        if books.asked.len() >= MAX_ASKED {
            return Err(Breach::Greedy(MAX_ASKED));
        }
        if books.asked.insert(which) { Ok(()) } else { Err(Breach::Twice(which)) }
    }

    /// Strikes out a request of the peer: the answer is about to be written.
    pub(crate) fn answered(&self, which: ChunkId) {
        self.books().asked.remove(&which);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ringrift_blob::Digest;

    use super::*;
    use crate::storage::Put;

    #[derive(Debug)]
    struct Nowhere;

    impl Sink for Nowhere {
        fn put(&self, _: u32, _: &[u8]) -> Put {
            Put::Stored
        }
    }

    fn id(chunk: u32) -> ChunkId {
        ChunkId { sha256: Digest::of(b"x"), chunk }
    }

    #[test]
    fn only_what_was_asked_for_comes_once_and_in_its_length() {
        let (ledger, sink): (_, Arc<dyn Sink>) = (Ledger::default(), Arc::new(Nowhere));
        assert_eq!(ledger.comes(id(0), 10).unwrap_err(), Breach::Unasked(id(0)));
        assert!(ledger.request(id(0), 10, (&sink, 1)) && !ledger.request(id(0), 10, (&sink, 1)));
        assert!(ledger.comes(id(0), 10).is_ok() && ledger.comes(id(0), 10).is_err());
        for wrong in [9, 11, u32::MAX] {
            ledger.request(id(1), 10, (&sink, 1));
            let size = Breach::Size { which: id(1), expected: 10, found: wrong };
            assert_eq!(ledger.comes(id(1), wrong).unwrap_err(), size);
        }
    }

    #[test]
    fn the_answer_to_a_cancellation_is_no_refusal() {
        let (ledger, sink): (_, Arc<dyn Sink>) = (Ledger::default(), Arc::new(Nowhere));
        assert!(!ledger.cancel(id(0)));
        ledger.request(id(0), 1, (&sink, 1));
        assert_eq!(ledger.refused(id(0)), Ok(Refusal::Real));
        ledger.request(id(0), 1, (&sink, 1));
        assert!(ledger.cancel(id(0)) && !ledger.cancel(id(0)));
        assert_eq!(ledger.refused(id(0)), Ok(Refusal::Expected));
        ledger.request(id(0), 1, (&sink, 1));
        ledger.cancel(id(0));
        assert!(!ledger.request(id(0), 1, (&sink, 1)));
        assert_eq!(ledger.refused(id(0)), Ok(Refusal::Stale));
        assert!(ledger.refused(id(0)).is_err());
    }

    #[test]
    fn a_peer_asks_for_each_chunk_once_and_not_for_everything() {
        let ledger = Ledger::default();
        for chunk in 0..MAX_ASKED as u32 {
            ledger.asked(id(chunk)).unwrap();
        }
        assert_eq!(ledger.asked(id(9999)), Err(Breach::Greedy(MAX_ASKED)));
        ledger.answered(id(0));
        assert_eq!(ledger.asked(id(1)), Err(Breach::Twice(id(1))));
        ledger.asked(id(0)).unwrap();
    }
}
