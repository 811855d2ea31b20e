use std::sync::Arc;

use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;
use tokio::time::Instant;

use crate::progress::{FetchState, Progress, Received};
use crate::storage::{Opened, Part, Sink, StorageError, Supply};

/// A wanted blob, and what is known of it here.
pub(crate) struct Fetch {
    pub(crate) blob: Blob,
    pub(crate) state: State,
    /// The work of the store that counts; what began earlier came too late.
    pub(crate) job: u64,
    /// Counts how often it began to be fetched, over all fetches: chunks that were asked for before do not count.
    pub(crate) life: u64,
    /// When it became wanted.
    pub(crate) since: Instant,
    /// When the last chunk came, or nothing could come for a reason that is known.
    pub(crate) moved: Instant,
    received: Received,
    have: u64,
}

/// What goes on with it.
pub(crate) enum State {
    /// The store looks what is here.
    Opening,
    /// Chunks are missing.
    Fetching(Arc<dyn Part>),
    /// None is missing; the store makes it whole.
    Finishing(Arc<dyn Part>),
    /// It is here.
    Whole(Arc<dyn Supply>),
    /// The store could not go on; it is asked again then.
    Waiting(StorageError, Instant),
    /// No fetch can help.
    Hopeless(String),
}

/// Work of the store that has ended.
pub(crate) struct Ended {
    pub(crate) sha256: Digest,
    pub(crate) job: u64,
    pub(crate) what: Work,
}

/// What the work was.
pub(crate) enum Work {
    /// Looking what is here.
    Opened(Result<Opened, StorageError>),
    /// Making it whole.
    Finished(Result<Arc<dyn Supply>, StorageError>),
    /// Letting go of it.
    LetGo,
}

impl Fetch {
    pub(crate) fn new(blob: Blob, job: u64, now: Instant) -> Self {
        let state = State::Opening;
        Self { blob, state, job, life: 0, since: now, moved: now, received: Received::default(), have: 0 }
    }

    /// Where its chunks go, while some are missing.
    pub(crate) fn sink(&self) -> Option<Arc<dyn Sink>> {
        match &self.state {
            State::Fetching(part) => Some(Arc::clone(part) as Arc<dyn Sink>),
            _ => None,
        }
    }

    /// Where its chunks are read, as far as they are here.
    pub(crate) fn supply(&self) -> Option<Arc<dyn Supply>> {
        match &self.state {
            State::Fetching(part) | State::Finishing(part) => Some(Arc::clone(part) as Arc<dyn Supply>),
            State::Whole(supply) => Some(Arc::clone(supply)),
            State::Opening | State::Waiting(..) | State::Hopeless(_) => None,
        }
    }

    /// Whether chunks are missing that others could send now.
    pub(crate) fn is_hungry(&self) -> bool {
        matches!(self.state, State::Fetching(_))
    }

    pub(crate) fn came(&mut self, peer: &NodeId, bytes: u64, now: Instant) {
        self.received.came(peer, bytes, now);
        self.moved = now;
    }

    pub(crate) fn by_peer(&self) -> std::collections::BTreeMap<NodeId, u64> {
        self.received.by_peer()
    }

    /// How far it is; `have` is what the planner knows, if it plans for it.
    pub(crate) fn progress(&mut self, have: Option<&ChunkSet>, now: Instant) -> Progress {
        if let Some(have) = have {
            let last = self.blob.count() - 1;
            let short = self.blob.range(last);
            let missing_of_last = u64::from(self.blob.chunk_size) - (short.end - short.start);
            let full = u64::from(have.count()) * u64::from(self.blob.chunk_size);
            self.have = full - if have.contains(last) { missing_of_last } else { 0 };
        }
        Progress {
            sha256: self.blob.sha256,
            have: self.have,
            of: self.blob.size,
            bytes_per_second: self.received.bytes_per_second(now),
            sources: self.received.sources(now),
            state: match &self.state {
                State::Opening => FetchState::Opening,
                State::Fetching(_) => FetchState::Fetching,
                State::Finishing(_) => FetchState::Finishing,
                State::Whole(_) => FetchState::Complete,
                State::Waiting(StorageError::NoSpace(reason), _) => FetchState::NoSpace(reason.clone()),
                State::Waiting(error, _) => FetchState::Failed(error.to_string()),
                State::Hopeless(reason) => FetchState::Contradiction(reason.clone()),
            },
        }
    }
}
