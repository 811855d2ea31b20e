use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Version 1 writes "no limit" as the largest number of whole pages; nobody has this much memory.
const NO_LIMIT: u64 = 1 << 60;

/// The limits that a container has, as it sees them itself.
///
/// Only the top of the visible hierarchy counts: in a container that is the container's own cgroup, on a host it has no
/// limits. The daemon's own cgroup would be wrong there, since its unit has limits that its jobs, in their own slice, have
/// not.
#[derive(Debug)]
pub(crate) struct Cgroup {
    top: PathBuf,
}

/// What a cgroup may use, and what it has used.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Budget {
    /// Bytes.
    pub(crate) memory_limit: Option<u64>,
    /// Bytes, without the file cache that is given up first; as the kubelet counts its working set.
    pub(crate) memory_used: Option<u64>,
    /// CPUs' worth of time, from the quota.
    pub(crate) cpu_quota: Option<f64>,
    /// CPUs on which it may run.
    pub(crate) cpu_set: Option<u32>,
    /// CPU time used so far.
    pub(crate) cpu_time: Option<Duration>,
}

impl Cgroup {
    /// The hierarchy mounted at `top`, usually `/sys/fs/cgroup`, of version 2 or 1.
    pub(crate) fn at(top: &Path) -> Self {
        Self { top: top.to_owned() }
    }

    /// What can be read of it; on a host without limits little or nothing.
    pub(crate) fn budget(&self) -> Budget {
        let read = |v2: &str, v1: &str| self.read(v2).or_else(|| self.read(v1));
        let inactive = |file, key| self.read(file).and_then(|text| stat(&text, key));
        let cache = inactive("memory.stat", "inactive_file")
            .or_else(|| inactive("memory/memory.stat", "total_inactive_file"))
            .unwrap_or(0);
        let used = read("memory.current", "memory/memory.usage_in_bytes").and_then(|text| number(&text));
        let micros = self.read("cpu.stat").and_then(|text| stat(&text, "usage_usec")).map(Duration::from_micros);
        let nanos = || self.read("cpuacct/cpuacct.usage").and_then(|text| number(&text)).map(Duration::from_nanos);
        Budget {
            memory_limit: read("memory.max", "memory/memory.limit_in_bytes")
                .and_then(|text| number(&text))
                .filter(|bytes| *bytes < NO_LIMIT),
            memory_used: used.map(|bytes| bytes.saturating_sub(cache)),
            cpu_quota: self.cpu_quota(),
            cpu_set: read("cpuset.cpus.effective", "cpuset/cpuset.effective_cpus").and_then(|text| listed(&text)),
            cpu_time: micros.or_else(nanos),
        }
    }

    fn cpu_quota(&self) -> Option<f64> {
        let (quota, period) = match self.read("cpu.max") {
            Some(both) => {
                let (quota, period) = both.trim().split_once(' ')?;
                (number(quota)?, number(period)?)
            }
            None => (number(&self.read("cpu/cpu.cfs_quota_us")?)?, number(&self.read("cpu/cpu.cfs_period_us")?)?),
        };
        (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.top.join(file)).ok()
    }
}

/// A number, or nothing for `max` and `-1`.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The value of `key` in a file of `key value` lines.
fn stat(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).and_then(number)
}

/// How many CPUs a list such as `0-3,8` names (`cpuset(7)`, "List format").
fn listed(text: &str) -> Option<u32> {
    let mut amount = 0_u32;
    for part in text.trim().split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (first, end): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        amount = amount.checked_add(end.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The budget of a hierarchy with these files.
    fn budget(files: &[(&str, &str)]) -> Budget {
        let top = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = top.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Cgroup::at(top.path()).budget()
    }

    #[test]
    fn a_container_of_version_2_is_read() {
        let budget = budget(&[
            ("memory.max", "8589934592\n"),
            ("memory.current", "3000\n"),
            ("memory.stat", "anon 1\ninactive_file 1000\nactive_file 500\n"),
            ("cpu.max", "150000 100000\n"),
            ("cpuset.cpus.effective", "0-3\n"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n"),
        ]);
        let expected = Budget {
            memory_limit: Some(8 << 30),
            memory_used: Some(2000),
            cpu_quota: Some(1.5),
            cpu_set: Some(4),
            cpu_time: Some(Duration::from_millis(2500)),
        };
        assert_eq!(budget, expected);
    }

    #[test]
    fn a_container_of_version_1_is_read() {
        let budget = budget(&[
            ("memory/memory.limit_in_bytes", "1073741824\n"),
            ("memory/memory.usage_in_bytes", "500\n"),
            ("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"),
            ("cpu/cpu.cfs_quota_us", "50000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpuset/cpuset.effective_cpus", "7\n"),
            ("cpuacct/cpuacct.usage", "1500000000\n"),
        ]);
        let expected = Budget {
            memory_limit: Some(1 << 30),
            memory_used: Some(400),
            cpu_quota: Some(0.5),
            cpu_set: Some(1),
            cpu_time: Some(Duration::from_millis(1500)),
        };
        assert_eq!(budget, expected);
    }

    #[test]
    fn a_host_has_no_limits() {
        assert_eq!(budget(&[]), Budget::default());
        let v1 = budget(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(v1, Budget::default());
        let v2 = budget(&[("memory.max", "max\n"), ("cpu.max", "max 100000\n")]);
        assert_eq!(v2, Budget::default());
    }

    #[test]
    fn lists_of_cpus_are_counted_and_nonsense_is_no_list() {
        for (list, expected) in [
            ("0", Some(1)),
            ("0-3,8\n", Some(5)),
            ("0,2,4-5", Some(4)),
            ("", None),
            ("3-1", None),
            ("0-4294967295", None),
            ("0-4294967294,1-9", None),
            ("a-b", None),
        ] {
            assert_eq!(listed(list), expected, "{list:?}");
        }
    }
}
