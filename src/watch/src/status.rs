use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ringrift_config::NodeId;

/// What a follower knows, and how current it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FollowStatus {
    /// The voter that is followed now.
    pub connected_to: Option<NodeId>,
    /// The highest term in which a leader was heard of.
    pub term: u64,
    /// The leader as the last voter said, also when that is long ago: see [`FollowStatus::staleness`].
    pub leader: Option<NodeId>,
    /// Raft's membership as the last voter said; after a start the one in the cache.
    pub voters: BTreeSet<NodeId>,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// Index up to which the last voter knew the log to be committed.
    pub committed: u64,
    /// When a voter last spoke about the leadership; `None` since the start of this process.
    pub heard: Option<Instant>,
    /// How long before [`FollowStatus::heard`] that voter itself last knew a live leader; `None` if it never did.
    pub voter_behind: Option<Duration>,
    /// Why the last stream was given up or not opened; `None` while a voter is followed.
    pub trouble: Option<String>,
}

impl FollowStatus {
    /// How old the agreed state may be, by the monotonic clock: the time since a voter last spoke, and what that voter
    /// said of itself. `None` if no live leader was heard of since the start of this process.
    pub fn staleness(&self) -> Option<Duration> {
        self.staleness_at(tokio::time::Instant::now().into_std())
    }

    /// The same at a given moment.
    pub fn staleness_at(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.heard?).saturating_add(self.voter_behind?))
    }
}
