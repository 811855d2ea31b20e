use std::collections::BTreeMap;
use std::time::Duration;

use ringrift_blob::Digest;
use ringrift_config::NodeId;
use tokio::time::Instant;

/// How far a wanted blob is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The blob.
    pub sha256: Digest,
    /// Bytes that are here and verified.
    pub have: u64,
    /// Bytes of the whole.
    pub of: u64,
    /// Verified bytes a second, over the last five seconds.
    pub bytes_per_second: u64,
    /// Nodes that sent some of it in the last five seconds.
    pub sources: usize,
    /// What is going on.
    pub state: FetchState,
}

/// What goes on with a wanted blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchState {
    /// The store looks what is here.
    Opening,
    /// Chunks are missing.
    Fetching,
    /// All chunks are here; the store makes it whole.
    Finishing,
    /// It is here, and served.
    Complete,
    /// The disk has no room; it goes on when there is. The text is for people.
    NoSpace(String),
    /// The disk failed; it is tried again. The text is for people.
    Failed(String),
    /// No fetch can help: the promotion contradicts itself. The text is for people.
    Contradiction(String),
}

/// What happens in an [`Engine`](crate::Engine). Each is worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeEvent {
    /// A blob is here, whole and verified, and was not when it became wanted.
    Fetched {
        /// The blob.
        sha256: Digest,
        /// Since it was wanted, or since this node started.
        took: Duration,
        /// Verified bytes from each node in this life.
        by_peer: BTreeMap<NodeId, u64>,
    },
    /// A node lied, broke the protocol, or was asked and sent nothing. It is left alone for a while.
    SourceDropped {
        /// Which node.
        peer: NodeId,
        /// What it did, as the end of a sentence that begins with its name.
        reason: String,
    },
    /// There is no room for a blob. The fetch waits.
    DiskFull {
        /// The blob.
        sha256: Digest,
        /// Which disk, and how much is missing.
        reason: String,
    },
    /// There is room again: the fetch goes on.
    DiskFree {
        /// The blob.
        sha256: Digest,
    },
    /// A blob cannot be stored for another reason.
    Failed {
        /// The blob.
        sha256: Digest,
        /// Why.
        reason: String,
    },
    /// Nothing came for a long time. Said again after as long.
    Stuck {
        /// The blob.
        sha256: Digest,
        /// Chunks that are missing.
        missing: u32,
        /// For how long nothing came.
        lasted: Duration,
        /// What would help.
        reason: String,
    },
}

/// How long what came counts for the rate.
const WINDOW: Duration = Duration::from_secs(5);

/// Who sent how much of a blob, and how fast it comes.
#[derive(Debug, Default)]
pub(crate) struct Received {
    by_peer: BTreeMap<NodeId, (u64, Instant)>,
    /// Bytes of each of the last seconds, newest last.
    recent: std::collections::VecDeque<(Instant, u64)>,
}

impl Received {
    pub(crate) fn came(&mut self, peer: &NodeId, bytes: u64, now: Instant) {
        let (sum, last) = self.by_peer.entry(peer.clone()).or_insert((0, now));
        (*sum, *last) = (*sum + bytes, now);
        match self.recent.back_mut().filter(|(since, _)| now - *since < Duration::from_millis(200)) {
            Some((_, sum)) => *sum += bytes,
            None => self.recent.push_back((now, bytes)),
        }
        self.forget(now);
    }

    pub(crate) fn bytes_per_second(&mut self, now: Instant) -> u64 {
        self.forget(now);
        let bytes: u64 = self.recent.iter().map(|(_, bytes)| bytes).sum();
        let since = self.recent.front().map_or(Duration::ZERO, |(since, _)| now - *since);
        // What came within the last moment says nothing about a second.
        (bytes as f64 / since.as_secs_f64().max(0.2)) as u64
    }

    pub(crate) fn sources(&self, now: Instant) -> usize {
        self.by_peer.values().filter(|(_, last)| now - *last < WINDOW).count()
    }

    pub(crate) fn by_peer(&self) -> BTreeMap<NodeId, u64> {
        self.by_peer.iter().map(|(peer, (bytes, _))| (peer.clone(), *bytes)).collect()
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(since, _)| now - *since > WINDOW) {
            self.recent.pop_front();
        }
    }
}
