use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ringrift_job::{Limits, Usage};

use super::FILES;
use crate::plain::manifest::gone;

/// The group of one run. What is missing of a limit's controller is not limited.
#[derive(Debug, Clone)]
pub(crate) struct Leaf(PathBuf);

impl Leaf {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes it, with these limits. One that there is already is used.
    pub(crate) fn create(&self, limits: &Limits) -> io::Result<()> {
        match fs::create_dir(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if self.0.join("memory.oom.group").exists() {
            // Half a run is no use to anybody.
            self.write("memory.oom.group", "1")?;
        }
        self.set(limits)
    }

    /// Sets all limits; what is not limited is set free.
    pub(crate) fn set(&self, limits: &Limits) -> io::Result<()> {
        let Limits { memory_high, memory_max, cpu_quota, cpu_weight, io_weight, tasks_max, allowed_cpus } = limits;
        let free = || "max".to_owned();
        let values = [
            memory_high.map_or_else(free, |size| size.0.to_string()),
            memory_max.map_or_else(free, |size| size.0.to_string()),
            // Microseconds in each tenth of a second.
            format!("{} 100000", cpu_quota.map_or_else(free, |share| (u64::from(share.0) * 1000).to_string())),
            cpu_weight.unwrap_or(100).to_string(),
            format!("default {}", io_weight.unwrap_or(100)),
            tasks_max.map_or_else(free, |count| count.to_string()),
            allowed_cpus.as_ref().map_or_else(|| self.all_cpus(), ToString::to_string),
        ];
        for ((limit, file), value) in FILES.into_iter().zip(values) {
            if self.keeps(limit) {
                self.write(file, &value)?;
            }
        }
        Ok(())
    }

    /// What the group around it may use. A group with processes cannot be given back an empty set, which would mean the same.
    fn all_cpus(&self) -> String {
        let around = self.0.parent().map(|group| group.join("cpuset.cpus.effective"));
        around.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default()
    }

    /// Whether it keeps this limit.
    pub(crate) fn keeps(&self, limit: &str) -> bool {
        FILES.iter().any(|(name, file)| *name == limit && self.0.join(file).exists())
    }

    /// Puts the calling process into it, and whatever that starts.
    pub(crate) fn join(&self) -> io::Result<()> {
        self.write("cgroup.procs", "0")
    }

    /// Kills all that is in it at once: nothing can fork away from it.
    pub(crate) fn kill(&self) {
        // Before Linux 5.14 there is no such file; whoever kills looks for the processes besides.
        let _ = self.write("cgroup.kill", "1");
    }

    /// Whether anything is in it.
    pub(crate) fn is_populated(&self) -> bool {
        self.value("cgroup.events", "populated") == Some(1)
    }

    /// Whether the kernel killed in it because memory was used up.
    pub(crate) fn was_out_of_memory(&self) -> bool {
        self.value("memory.events", "oom_kill").is_some_and(|count| count > 0)
    }

    /// What it has used, as far as there are controllers that count.
    pub(crate) fn usage(&self) -> Usage {
        let number = |file: &str| fs::read_to_string(self.0.join(file)).ok()?.trim().parse().ok();
        Usage {
            cpu_ms: self.value("cpu.stat", "usage_usec").map(|micros| micros / 1000),
            memory_peak: number("memory.peak"),
            memory: number("memory.current"),
            tasks: number("pids.current"),
            processes: None,
        }
    }

    /// Removes it; nothing may be in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        gone(fs::remove_dir(&self.0))
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        let path = self.0.join(file);
        fs::write(&path, value).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    /// A value of a file of names and values.
    fn value(&self, file: &str, name: &str) -> Option<u64> {
        value(&fs::read_to_string(self.0.join(file)).ok()?, name)
    }
}

impl AsRef<Path> for Leaf {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

fn value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_by_their_whole_name() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\n";
        assert_eq!(value(text, "oom_kill"), Some(2));
        assert_eq!(value(text, "oom_k"), None);
    }

    #[test]
    fn each_limit_is_written_as_the_kernel_reads_it_and_set_free_again() {
        let directory = tempfile::tempdir().unwrap();
        let group = directory.path().join("group");
        fs::create_dir(&group).unwrap();
        for (_, file) in FILES {
            fs::write(group.join(file), "").unwrap();
        }
        fs::write(directory.path().join("cpuset.cpus.effective"), "0-7\n").unwrap();
        let leaf = Leaf::new(group.clone());
        let shown = || FILES.map(|(_, file)| fs::read_to_string(group.join(file)).unwrap());
        let limits = Limits {
            memory_high: Some(ringrift_job::Bytes(1 << 30)),
            memory_max: Some(ringrift_job::Bytes(2 << 30)),
            cpu_quota: Some(ringrift_job::Percent(150)),
            cpu_weight: Some(50),
            io_weight: Some(20),
            tasks_max: Some(64),
            allowed_cpus: Some("0-3".parse().unwrap()),
        };
        leaf.create(&limits).unwrap();
        assert_eq!(shown(), ["1073741824", "2147483648", "150000 100000", "50", "default 20", "64", "0-3"]);
        leaf.set(&Limits::default()).unwrap();
        assert_eq!(shown(), ["max", "max", "max 100000", "100", "default 100", "max", "0-7\n"]);
    }
}
