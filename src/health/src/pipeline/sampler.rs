use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Folders, Pipeline};

/// Looks at the pipeline's files from time to time. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct PipelineSampler {
    pub(super) latest: Arc<Mutex<Option<Arc<Pipeline>>>>,
}

impl PipelineSampler {
    /// Looks every `every` until `stop`, off the async threads, at the folders that are the node's at that time.
    pub fn start(folders: impl Fn() -> Folders + Send + 'static, every: Duration, stop: CancellationToken) -> Self {
        let sampler = Self { latest: Arc::default() };
        let latest = Arc::clone(&sampler.latest);
        tokio::spawn(async move { stop.run_until_cancelled(run(latest, folders, every)).await });
        sampler
    }

    /// What was found at the last look; `None` before the first.
    pub fn latest(&self) -> Option<Arc<Pipeline>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn run(latest: Arc<Mutex<Option<Arc<Pipeline>>>>, folders: impl Fn() -> Folders, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        ticks.tick().await;
        let folders = folders();
        let looked = tokio::task::spawn_blocking(move || Pipeline::look(folders, before.as_ref()));
        let Ok((pipeline, seen)) = looked.await else {
            warn!("the pipeline's files cannot be looked at any more");
            return;
        };
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pipeline.clone()));
        before = Some((pipeline, seen));
    }
}
