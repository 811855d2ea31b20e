use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Resources, host::Host};

/// How often the host is looked at. Load is shown to people and to a scheduler, neither of which needs it sooner.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// When the second sample is taken: CPU use is a difference, and the first one has nothing to be compared with.
const SECOND_SAMPLE: Duration = Duration::from_millis(500);

/// Weight of the newest CPU figure in the shown one: about three samples of memory.
const SMOOTHING: f64 = 0.4;

/// Looks at this host from time to time. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Sampler {
    latest: Arc<Mutex<Resources>>,
}

impl Sampler {
    /// Samples until `stop`; disk figures are those of the filesystem that holds `data`. The files under `/proc` are read
    /// off the async threads.
    pub fn start(data: &Path, stop: CancellationToken) -> Self {
        let sampler = Self { latest: Arc::default() };
        let sampling = run(Arc::clone(&sampler.latest), data.to_owned());
        tokio::spawn(async move { stop.run_until_cancelled(sampling).await });
        sampler
    }

    /// The newest figures; all zero before the first sample, a moment after the start. The CPU's follows half a second
    /// later. The lock is held for a copy only.
    pub fn latest(&self) -> Resources {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(latest: Arc<Mutex<Resources>>, data: PathBuf) {
    let path = data.clone();
    let opened = tokio::task::spawn_blocking(move || Host::new(Path::new("/sys/fs/cgroup"), &path)).await;
    let mut host = match opened {
        Ok(Ok(host)) => host,
        Ok(Err(error)) => {
            warn!("the load of this host cannot be sampled: {error}");
            return;
        }
        // The runtime is going down.
        Err(_) => return,
    };
    let mut ticks = interval_at(Instant::now() + SECOND_SAMPLE, SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut cpu = None;
    for samples in 0_u64.. {
        let sampled = tokio::task::spawn_blocking(move || {
            let resources = host.sample();
            (host, resources)
        })
        .await;
        let Ok((returned, now)) = sampled else {
            warn!("the load of this host cannot be sampled any more");
            return;
        };
        host = returned;
        // What the first sample says of the CPU covers a few microseconds.
        if samples > 0 {
            cpu = Some(smooth(cpu, now.cpu_percent));
        }
        let shown = Resources { cpu_percent: cpu.unwrap_or(0.0), ..now };
        if samples == 0 && shown.disk_free_gb == 0.0 {
            warn!("the free space of {} is nothing, or cannot be read", data.display());
        }
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = shown;
        ticks.tick().await;
    }
}

/// The figure to show after `now` was measured.
fn smooth(before: Option<f64>, now: f64) -> f64 {
    before.map_or(now, |before| before + SMOOTHING * (now - before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_burst_of_cpu_does_not_show_as_a_busy_host() {
        let burst = smooth(Some(0.0), 100.0);
        assert!(burst < 50.0, "{burst}");
        let load = (0..6).fold(burst, |before, _| smooth(Some(before), 100.0));
        assert!(load > 90.0, "{load}");
        assert!((smooth(None, 70.0) - 70.0).abs() < f64::EPSILON, "the first figure has nothing to be smoothed by");
    }

    #[tokio::test]
    async fn figures_arrive_soon_after_the_start_and_no_more_come_after_the_stop() {
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let sampler = Sampler::start(dir.path(), stop.clone());
        let arrived = async {
            while sampler.latest() == Resources::default() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("a first sample");
        assert!(sampler.latest().memory_gb > 0.1, "{:?}", sampler.latest());
        stop.cancel();
        let ended = async {
            while Arc::strong_count(&sampler.latest) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the task ends");
    }
}
