use std::{collections::VecDeque, time::Duration};

use ringrift_blob::{ChunkSet, Digest};
use ringrift_config::NodeId;

use crate::pace::Pace;

/// Blobs of which a peer may tell while they are neither wanted nor held here. The oldest is forgotten for one more.
const MAX_UNCLAIMED: usize = 64;
/// Chunks of these blobs together, the same.
const MAX_UNCLAIMED_CHUNKS: u32 = 1 << 22;

/// A chunk that was asked of a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) track: usize,
    pub(crate) chunk: u32,
    pub(crate) at: Duration,
}

/// A peer with a session.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    /// What it has, of the blob at the same place among the tracks.
    pub(crate) maps: Vec<Option<ChunkSet>>,
    /// What it has of other blobs, the oldest first.
    pub(crate) unclaimed: VecDeque<(Digest, ChunkSet)>,
    /// Requests to it, the oldest first.
    pub(crate) asks: Vec<Ask>,
    pub(crate) pace: Pace,
    /// Chunks that it refused, or did not send in time, until `retry_at`.
    pub(crate) refused: Vec<(usize, u32)>,
    pub(crate) retry_at: Option<Duration>,
    pub(crate) retry_after: Duration,
    /// It is busy until then.
    pub(crate) rest_until: Option<Duration>,
    pub(crate) rest_for: Duration,
    /// Nothing came since, and something was asked.
    pub(crate) silent_since: Option<Duration>,
    /// Its requests that wait for a slot.
    pub(crate) queue: VecDeque<(Digest, u32)>,
    /// Its requests that are served.
    pub(crate) active: Vec<(Digest, u32)>,
    /// The turn in which it was served last.
    pub(crate) turn: u64,
}

/// What a peer may take that sent nothing yet.
const FIRST_DEADLINE: Duration = Duration::from_secs(5);
pub(crate) const FIRST_RETRY: Duration = Duration::from_millis(500);
pub(crate) const FIRST_REST: Duration = Duration::from_millis(50);

impl Peer {
    pub(crate) fn new(id: NodeId, tracks: usize, now: Duration) -> Self {
        Self {
            id,
            maps: vec![None; tracks],
            unclaimed: VecDeque::new(),
            asks: Vec::new(),
            pace: Pace::new(now),
            refused: Vec::new(),
            retry_at: None,
            retry_after: FIRST_RETRY,
            rest_until: None,
            rest_for: FIRST_REST,
            silent_since: None,
            queue: VecDeque::new(),
            active: Vec::new(),
            turn: 0,
        }
    }

    /// Remembers what it has of a blob that nobody here asked for yet: the promotion may be on its way.
    pub(crate) fn remember(&mut self, sha256: Digest, chunks: ChunkSet) {
        self.unclaimed.retain(|(known, _)| *known != sha256);
        if chunks.is_empty() || chunks.len() > MAX_UNCLAIMED_CHUNKS {
            return;
        }
        self.unclaimed.push_back((sha256, chunks));
        while self.unclaimed.len() > MAX_UNCLAIMED
            || self.unclaimed.iter().map(|(_, chunks)| u64::from(chunks.len())).sum::<u64>()
                > u64::from(MAX_UNCLAIMED_CHUNKS)
        {
            self.unclaimed.pop_front();
        }
    }

    pub(crate) fn has(&self, track: usize, chunk: u32) -> bool {
        self.maps[track].as_ref().is_some_and(|map| map.contains(chunk))
    }

    /// Takes a request off the list.
    pub(crate) fn answered(&mut self, track: usize, chunk: u32) -> Option<Ask> {
        let at = self.asks.iter().position(|ask| (ask.track, ask.chunk) == (track, chunk))?;
        Some(self.asks.remove(at))
    }

    /// How long a request may take, if requests to peers in general may take `typical`.
    pub(crate) fn allowance(&self, typical: Duration) -> Duration {
        self.pace.allowance().unwrap_or(FIRST_DEADLINE).max(typical)
    }

    /// When something is due, should nothing come. While no peer sent anything yet, there is no measure of what is late: it may
    /// be the link of this node that is slow.
    pub(crate) fn due(&self, typical: Option<Duration>) -> Option<Duration> {
        let overdue = typical.zip(self.asks.first()).map(|(typical, ask)| ask.at + self.allowance(typical));
        [overdue, self.retry_at, self.rest_until].into_iter().flatten().min()
    }
}
