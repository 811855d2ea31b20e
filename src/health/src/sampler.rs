use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sysinfo::System;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Resources;

/// How often the host is looked at. Load is shown to people and to a scheduler, neither of which needs it sooner.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// Weight of the newest CPU figure in the shown one: about three samples of memory.
const SMOOTHING: f64 = 0.4;

const GIB: f64 = (1_u64 << 30) as f64;

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
        tokio::spawn(run(sampler.latest.clone(), data.to_owned(), stop));
        sampler
    }

    /// The newest figures; all zero before the first sample, a moment after the start. The lock is held for a copy only.
    pub fn latest(&self) -> Resources {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(latest: Arc<Mutex<Resources>>, data: PathBuf, stop: CancellationToken) {
    let mut ticks = interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut system = match System::new() {
        Ok(system) => system,
        Err(error) => {
            warn!(%error, "the load of this host cannot be sampled");
            return;
        }
    };
    let mut before: Option<Resources> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let path = data.clone();
        let sampled = tokio::task::spawn_blocking(move || {
            let resources = sample(&mut system, &path);
            (system, resources)
        })
        .await;
        let Ok((returned, now)) = sampled else {
            warn!("the load of this host cannot be sampled any more");
            return;
        };
        system = returned;
        let shown = smooth(before.as_ref(), now);
        before = Some(shown);
        *latest.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

fn sample(system: &mut System, data: &Path) -> Resources {
    system.refresh_cpu_usage();
    system.refresh_memory();
    let (disk_percent, disk_free_gb) = disk(data);
    let total = system.total_memory();
    Resources {
        cpu_count: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
        cpu_percent: f64::from(system.global_cpu_usage()),
        memory_gb: total as f64 / GIB,
        memory_percent: percent(total.saturating_sub(system.available_memory()), total),
        disk_percent,
        disk_free_gb,
    }
}

/// Use in percent as `df` counts it, and GiB that an unprivileged process may still write. Zero if nothing can be read.
fn disk(data: &Path) -> (f64, f64) {
    let Ok(stat) = rustix::fs::statvfs(data) else { return (0.0, 0.0) };
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    (percent(used, used + stat.f_bavail), (stat.f_bavail * stat.f_frsize) as f64 / GIB)
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

/// The new figures with the CPU's smoothed by those before.
fn smooth(before: Option<&Resources>, now: Resources) -> Resources {
    match before {
        None => now,
        Some(old) => {
            let cpu_percent = old.cpu_percent + SMOOTHING * (now.cpu_percent - old.cpu_percent);
            Resources { cpu_percent, ..now }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_figures_in_range() {
        let dir = tempfile::tempdir().unwrap();
        let r = sample(&mut System::new().unwrap(), dir.path());
        assert!(r.cpu_count >= 1 && r.memory_gb > 0.1 && r.disk_free_gb > 0.0, "{r:?}");
        for percent in [r.cpu_percent, r.memory_percent, r.disk_percent] {
            assert!((0.0..=100.0).contains(&percent), "{r:?}");
        }
    }

    #[test]
    fn a_short_burst_of_cpu_does_not_show_as_a_busy_host() {
        let at = |cpu_percent| Resources { cpu_percent, ..Resources::default() };
        let shown = smooth(Some(&at(0.0)), at(100.0));
        assert!(shown.cpu_percent < 50.0, "{shown:?}");
        let shown = (0..6).fold(shown, |before, _| smooth(Some(&before), at(100.0)));
        assert!(shown.cpu_percent > 90.0, "{shown:?}");
    }

    #[test]
    fn a_missing_directory_shows_nothing_instead_of_failing() {
        assert_eq!(disk(Path::new("/nowhere/at/all")), (0.0, 0.0));
        assert!(percent(1, 0).abs() < f64::EPSILON);
    }
}
