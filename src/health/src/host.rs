use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sysinfo::System;

use crate::{
    Resources,
    cgroup::{Budget, Cgroup},
};

const GIB: f64 = (1_u64 << 30) as f64;

/// The host as the kernel describes it. Reading blocks, on a dead network filesystem for ever.
#[derive(Debug)]
pub(crate) struct Host {
    system: System,
    cgroup: Cgroup,
    data: PathBuf,
    cpu_before: Option<(Instant, Duration)>,
}

impl Host {
    /// The host whose limits are in the cgroup hierarchy at `cgroups`; the disk is the one that holds `data`.
    pub(crate) fn new(cgroups: &Path, data: &Path) -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        // CPU use is a difference: this is what the first sample is compared with.
        system.refresh_cpu_usage();
        let cgroup = Cgroup::at(cgroups);
        let cpu_before = cgroup.budget().cpu_time.map(|used| (Instant::now(), used));
        Ok(Self { system, cgroup, data: data.to_owned(), cpu_before })
    }

    /// The load since the sample before. Shorter than 200 ms after it the CPU figure is of little worth.
    pub(crate) fn sample(&mut self) -> Resources {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let now = Instant::now();
        let budget = self.cgroup.budget();
        let used = budget
            .cpu_time
            .zip(self.cpu_before)
            .map(|(used, (before_at, before))| (used.saturating_sub(before), now.saturating_duration_since(before_at)));
        self.cpu_before = budget.cpu_time.map(|used| (now, used));
        let total = self.system.total_memory();
        let host = Resources {
            cpu_count: u32::try_from(self.system.cpus().len()).unwrap_or(u32::MAX),
            cpu_percent: f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0),
            memory_gb: total as f64 / GIB,
            memory_percent: percent(total.saturating_sub(self.system.available_memory()), total),
            ..Resources::default()
        };
        let (disk_percent, disk_free_gb) = disk(&self.data).unwrap_or_default();
        Resources { disk_percent, disk_free_gb, ..within(host, &budget, used) }
    }
}

/// The part of `host` that `budget` leaves. `used` is CPU time used by the cgroup, and the time in which it was.
fn within(host: Resources, budget: &Budget, used: Option<(Duration, Duration)>) -> Resources {
    let mut resources = host;
    let all = f64::from(host.cpu_count);
    let cpus = budget.cpu_quota.unwrap_or(all).min(budget.cpu_set.map_or(all, f64::from)).min(all);
    if cpus < all {
        resources.cpu_count = (cpus.ceil() as u32).max(1);
        if let Some((used, elapsed)) = used.filter(|(_, elapsed)| !elapsed.is_zero()) {
            let could = elapsed.as_secs_f64() * cpus;
            resources.cpu_percent = (used.as_secs_f64() * 100.0 / could).clamp(0.0, 100.0);
        }
    }
    if let Some(limit) = budget.memory_limit.filter(|limit| (*limit as f64 / GIB) < host.memory_gb) {
        resources.memory_gb = limit as f64 / GIB;
        if let Some(used) = budget.memory_used {
            resources.memory_percent = percent(used, limit);
        }
    }
    resources
}

/// Use in percent as `df` counts it, and GiB that an unprivileged process may still write.
fn disk(data: &Path) -> Option<(f64, f64)> {
    let stat = rustix::fs::statvfs(data).ok()?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    Some((percent(used, used.saturating_add(stat.f_bavail)), free as f64 / GIB))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 100.0 / whole as f64).min(100.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_figures_in_range() {
        let dir = tempfile::tempdir().unwrap();
        let mut host = Host::new(Path::new("/sys/fs/cgroup"), dir.path()).unwrap();
        let r = host.sample();
        assert!(r.cpu_count >= 1 && r.memory_gb > 0.1 && r.disk_free_gb > 0.0, "{r:?}");
        for percent in [r.cpu_percent, r.memory_percent, r.disk_percent] {
            assert!((0.0..=100.0).contains(&percent), "{r:?}");
        }
    }

    #[test]
    fn the_disk_is_counted_as_df_counts_it() {
        let dir = tempfile::tempdir().unwrap();
        let (percent, free) = disk(dir.path()).unwrap();
        let df = std::process::Command::new("df").args(["-B1", "--output=avail,pcent"]).arg(dir.path()).output();
        let text = String::from_utf8(df.expect("df belongs to every Debian").stdout).unwrap();
        let mut fields = text.lines().nth(1).unwrap().split_whitespace();
        let df_free: f64 = fields.next().unwrap().parse().unwrap();
        let df_percent: f64 = fields.next().unwrap().trim_end_matches('%').parse().unwrap();
        // Others write at the same time; df rounds up to whole percents.
        assert!((free - df_free / GIB).abs() < 1.0, "{free} GiB, df says {df_free} bytes");
        assert!((percent - df_percent).abs() < 2.0, "{percent} %, df says {df_percent} %");
    }

    #[test]
    fn a_missing_directory_shows_nothing_instead_of_failing() {
        assert_eq!(disk(Path::new("/nowhere/at/all")), None);
    }

    #[test]
    fn a_container_shows_its_share_of_the_host() {
        let host = Resources {
            cpu_count: 64,
            cpu_percent: 90.0,
            memory_gb: 256.0,
            memory_percent: 80.0,
            ..Default::default()
        };
        let second = Duration::from_secs(1);
        let none = Budget::default();
        // Budget, CPU time used in a second; CPUs, their use, memory, its use.
        let table = [
            (none, second, (64, 90.0, 256.0, 80.0)),
            (Budget { cpu_quota: Some(4.0), ..none }, second, (4, 25.0, 256.0, 80.0)),
            (Budget { cpu_quota: Some(0.5), ..none }, second / 4, (1, 50.0, 256.0, 80.0)),
            (Budget { cpu_set: Some(2), cpu_quota: Some(8.0), ..none }, second * 3, (2, 100.0, 256.0, 80.0)),
            (Budget { cpu_quota: Some(100.0), cpu_set: Some(64), ..none }, second, (64, 90.0, 256.0, 80.0)),
            (Budget { memory_limit: Some(8 << 30), memory_used: Some(2 << 30), ..none }, second, (64, 90.0, 8.0, 25.0)),
            (Budget { memory_limit: Some(512 << 30), memory_used: Some(1), ..none }, second, (64, 90.0, 256.0, 80.0)),
        ];
        for (budget, used, expected) in table {
            let r = within(host, &budget, Some((used, second)));
            assert_eq!((r.cpu_count, r.cpu_percent, r.memory_gb, r.memory_percent), expected, "{budget:?}");
        }
        let r = within(host, &Budget { cpu_quota: Some(4.0), ..none }, Some((second, Duration::ZERO)));
        assert_eq!(
            (r.cpu_count, r.cpu_percent),
            (4, 90.0),
            "no time has passed: the host's figure is the best there is"
        );
    }
}
