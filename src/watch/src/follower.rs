use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ringrift_config::NodeId;
use ringrift_state::Agreed;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{BoxedStream, FollowStatus};

/// Opens streams to voters.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// A stream to some voter, and which voter it is. Those in `avoid` gave no good answer lately: others come first.
    async fn open(&self, avoid: &BTreeSet<NodeId>) -> Result<(NodeId, BoxedStream), String>;
}

/// How a [`Follower`] follows.
#[derive(Debug, Clone)]
pub struct FollowerConfig {
    /// This node.
    pub node: NodeId,
    /// Where the copy of the agreed state is kept.
    pub cache: PathBuf,
    /// How often the copy is written, at most.
    pub save_every: Duration,
    /// How long a voter may be silent before it is left.
    pub silence: Duration,
    /// How long a voter may know of no leader before another voter is asked.
    pub leaderless: Duration,
    /// The shortest and the longest pause between two attempts.
    pub backoff: (Duration, Duration),
}

impl FollowerConfig {
    /// Saves every 5 s at most, leaves a voter after 3 s of silence or 10 s without a leader, pauses 0.1 to 5 s.
    pub fn new(node: NodeId, cache: PathBuf) -> Self {
        Self {
            node,
            cache,
            save_every: Duration::from_secs(5),
            silence: Duration::from_secs(3),
            leaderless: Duration::from_secs(10),
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

/// Why a follower does not start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

/// A worker's side: follows a voter. Clones are handles to the same one.
#[derive(Clone)]
pub struct Follower {
    _inner: Arc<()>,
}

impl Follower {
    /// Loads the cache and follows until `stop` is cancelled.
    pub fn start(config: FollowerConfig, dialer: Arc<dyn Dialer>, stop: CancellationToken) -> Result<Self, StartError> {
        let _ = (config, dialer, stop);
        unimplemented!()
    }

    /// The newest agreed state that this node holds.
    pub fn agreed(&self) -> Arc<Agreed> {
        unimplemented!()
    }

    /// Wakes with the applied index when the agreed state has changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }

    /// What this node knows about the leadership, and how current it is.
    pub fn status(&self) -> watch::Receiver<FollowStatus> {
        unimplemented!()
    }

    /// Grows as long as the follower is alive, also without any voter; for the watchdog.
    pub fn progress(&self) -> u64 {
        unimplemented!()
    }

    /// Returns once the follower has stopped and its cache is written; cancel its token first.
    pub async fn stopped(&self) {
        unimplemented!()
    }
}
