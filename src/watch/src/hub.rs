use std::sync::Arc;
use std::time::Duration;

use ringrift_config::NodeId;
use tokio_util::sync::CancellationToken;

use crate::{ByteStream, Source};

/// How a [`Hub`] serves.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// This voter.
    pub node: NodeId,
    /// How often every watcher hears about the leadership, at least.
    pub heartbeat: Duration,
    /// How long a watcher may take no bytes before it is dropped.
    pub write_timeout: Duration,
    /// How many watchers are served at once.
    pub max_watchers: usize,
}

impl HubConfig {
    /// Heartbeats every second, 10 s for a stuck watcher, at most 2,048 watchers.
    pub fn new(node: NodeId) -> Self {
        Self { node, heartbeat: Duration::from_secs(1), write_timeout: Duration::from_secs(10), max_watchers: 2048 }
    }
}

/// A voter's side: tells watchers what is agreed. Clones are handles to the same one.
#[derive(Clone)]
pub struct Hub {
    _inner: Arc<()>,
}

/// Why a watcher is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The voter stops.
    #[error("this voter stops")]
    Stopped,
}

impl Hub {
    /// Reads from `source` until it ends or `stop` is cancelled.
    pub fn start(config: HubConfig, source: Arc<dyn Source>, stop: CancellationToken) -> Self {
        let _ = (config, source, stop);
        unimplemented!()
    }

    /// Serves the watcher `from` on its stream until either side is gone. The error is worth a line in the log.
    pub async fn serve(&self, from: &NodeId, stream: impl ByteStream) -> Result<(), ServeError> {
        let _ = (from, stream);
        unimplemented!()
    }

    /// How many watchers are served now.
    pub fn watchers(&self) -> usize {
        unimplemented!()
    }

    /// Grows as long as the hub is alive, also when nothing is agreed on; for the watchdog.
    pub fn progress(&self) -> u64 {
        unimplemented!()
    }
}
