//! Processes by number and start time: a number alone may be somebody else's by now.

use std::{collections::BTreeMap, fs, os::fd::OwnedFd, path::Path};

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// A process, and none that gets its number later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its start, in clock ticks since the machine's (`proc_pid_stat(5)`, field 22).
    pub(crate) start: u64,
}

/// What /proc/PID/stat says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) process: Process,
    parent: u32,
    state: char,
    /// Processor time, user and system, in clock ticks.
    cpu: u64,
    /// The same of its children that it has waited for, and of theirs.
    waited_cpu: u64,
    threads: u64,
    resident_pages: u64,
}

/// All processes that can be seen.
#[derive(Debug, Default)]
pub(crate) struct Table(BTreeMap<u32, Stat>);

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Stat::of(pid).map(|stat| stat.process)
    }

    /// A descriptor of it, while it is there. Whatever is done through it cannot reach another process.
    pub(crate) fn open(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(i32::try_from(self.pid).ok()?)?;
        let fd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Only now: the number cannot have been given away between this look and the descriptor.
        (Self::of(self.pid) == Some(self)).then_some(fd)
    }

    /// Sends a signal, if it is there. Says whether it was.
    pub(crate) fn signal(self, signal: Signal) -> bool {
        self.open().is_some_and(|fd| rustix::process::pidfd_send_signal(fd, signal).is_ok())
    }

    /// Its threads.
    pub(crate) fn threads(self) -> Vec<Pid> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
    }

    /// Whether a variable has this value in the environment that it was started with.
    pub(crate) fn has_variable(self, name: &str, value: &Path) -> bool {
        let wanted = [name.as_bytes(), b"=", value.as_os_str().as_encoded_bytes()].concat();
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted) && Self::of(self.pid) == Some(self)
    }
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: u32, text: &str) -> Option<Self> {
        // The name of the program stands in parentheses and may hold any character, so the last one ends it.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            process: Process { pid, start: number(22)? },
            parent: u32::try_from(number(4)?).ok()?,
            state: fields.first()?.chars().next()?,
            cpu: number(14)? + number(15)?,
            waited_cpu: number(16)? + number(17)?,
            threads: number(20)?,
            resident_pages: number(24)?,
        })
    }

    /// Processor time of its children that it has waited for, in milliseconds.
    pub(crate) fn waited_cpu_ms(&self) -> u64 {
        ticks_to_ms(self.waited_cpu)
    }
}

impl Table {
    /// As it is now.
    pub(crate) fn read() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        Self(pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect())
    }

    /// The children of a process, theirs, and so on; not those that have ended.
    pub(crate) fn descendants(&self, root: u32) -> Vec<Stat> {
        let mut by_parent: BTreeMap<u32, Vec<&Stat>> = BTreeMap::new();
        for stat in self.0.values() {
            by_parent.entry(stat.parent).or_default().push(stat);
        }
        let mut all = Vec::new();
        let mut next = vec![root];
        while let Some(parent) = next.pop() {
            // Taken out, so that a table that was read while numbers changed hands cannot lead in a circle.
            for stat in by_parent.remove(&parent).unwrap_or_default() {
                next.push(stat.process.pid);
                if !matches!(stat.state, 'Z' | 'X') {
                    all.push(*stat);
                }
            }
        }
        all
    }

    /// All of them, but for those that have ended.
    pub(crate) fn alive(&self) -> impl Iterator<Item = Process> + '_ {
        self.0.values().filter(|stat| !matches!(stat.state, 'Z' | 'X')).map(|stat| stat.process)
    }
}

/// Processor time in milliseconds, memory in bytes, and the number of threads of some processes.
pub(crate) fn totals(stats: &[Stat]) -> (u64, u64, u64) {
    let page = rustix::param::page_size() as u64;
    let cpu = stats.iter().map(|stat| stat.cpu + stat.waited_cpu).sum();
    let pages: u64 = stats.iter().map(|stat| stat.resident_pages).sum();
    (ticks_to_ms(cpu), pages.saturating_mul(page), stats.iter().map(|stat| stat.threads).sum())
}

fn ticks_to_ms(ticks: u64) -> u64 {
    ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)
}

/// Names this boot of the machine and this namespace of process numbers: a process recorded under another name is none of these.
pub(crate) fn world() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{} {}", boot.trim(), namespace.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_cannot_confuse_the_reader() {
        let text = "7 (a) R 1 (b) S 3 7 7 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 5 0 999 4096 12 0 0";
        let stat = Stat::parse(7, text).unwrap();
        let expected = Stat {
            process: Process { pid: 7, start: 999 },
            parent: 3,
            state: 'S',
            cpu: 30,
            waited_cpu: 70,
            threads: 5,
            resident_pages: 12,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse(7, "7 (a"), None);
        assert_eq!(Stat::parse(7, "7 (a) S 1"), None);
    }

    #[test]
    fn a_number_with_another_start_is_another_process() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.open().is_some());
        let other = Process { start: own.start + 1, ..own };
        assert!(other.open().is_none() && !other.signal(Signal::KILL));
    }

    #[test]
    fn descendants_are_found_over_generations_without_those_that_have_ended() {
        let stat = |pid, parent, state| Stat {
            process: Process { pid, start: 1 },
            parent,
            state,
            cpu: 0,
            waited_cpu: 0,
            threads: 1,
            resident_pages: 0,
        };
        let all =
            [(1, 0, 'S'), (2, 1, 'S'), (3, 2, 'Z'), (4, 2, 'R'), (5, 4, 'S'), (6, 1, 'S'), (8, 9, 'S'), (9, 8, 'S')];
        let table = Table(all.into_iter().map(|(pid, parent, state)| (pid, stat(pid, parent, state))).collect());
        let pids = |root| {
            let mut pids: Vec<u32> = table.descendants(root).iter().map(|stat| stat.process.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(2), [4, 5]);
        assert_eq!(pids(6), [0; 0]);
        assert_eq!(pids(8), [8, 9]);
    }
}
