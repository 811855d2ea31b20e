//! From where on this node warns, takes no more work, or stops what runs: the group of settings that says so.

use std::time::Duration;

use super::{
    Flags, SettingsError,
    key::{self, Key},
    read,
    setting::Setting,
    sources::Sources,
};

/// Where a node's patience ends. Percents are of the whole: 70 and not 0.7.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From here on somebody should make room on the disk. Nothing is deleted by itself.
    pub disk_cleanup: Setting<u8>,
    /// A disk this full is warned of.
    pub disk_warning: Setting<u8>,
    /// With a disk this full the node takes no job.
    pub disk_critical: Setting<u8>,
    /// Memory this full is warned of.
    pub memory_warning: Setting<u8>,
    /// With memory this full the node takes no job.
    pub memory_critical: Setting<u8>,
    /// A job whose GPU is idle for longer is stopped.
    pub gpu_idle: Setting<Duration>,
    /// The time from SIGTERM to SIGKILL.
    pub job_grace: Setting<Duration>,
    /// With more processes than this in all its self-play the node starts no more of it.
    pub runaway_processes: Setting<u32>,
    /// More jobs than this are not started in a second.
    pub job_starts: Setting<u32>,
    /// When so many runs of a class have failed in a row soon after their start, the class is given back for a while.
    pub crash_loop: Setting<u32>,
    /// With more work than this in the queue new work is taken with a warning.
    pub queue_soft: Setting<u32>,
    /// With more work than this in the queue new work is refused.
    pub queue_hard: Setting<u32>,
}

/// Contract §6 for warning and critical; below the warning people have time to make room.
const DISK: [u8; 3] = [65, 70, 96];
const MEMORY: [u8; 2] = [70, 80];
/// Contract §4.
const GPU_IDLE: Duration = Duration::from_mins(10);
const JOB_GRACE: Duration = Duration::from_mins(1);
const RUNAWAY_PROCESSES: u32 = 128;
/// A machine that starts faster does little else: an interpreter with its libraries takes a processor for seconds.
const JOB_STARTS: u32 = 4;
const CRASH_LOOP: u32 = 3;
const QUEUE: [u32; 2] = [500, 1000];

impl Limits {
    pub(super) fn gather(flags: &Flags, sources: &mut Sources<'_>) -> Self {
        let mut percent = |key, flag| sources.pick(key, flag, read::percent);
        let disk_critical =
            percent(key::DISK_CRITICAL, flags.disk_critical_threshold).unwrap_or(Setting::default_of(DISK[2]));
        // Who lowers one limit and says nothing of the ones below means them to be lower as well.
        let below = |default: u8, limit: &Setting<u8>| Setting::default_of(default.min(limit.value));
        let disk_warning =
            percent(key::DISK_WARNING, flags.disk_warning_threshold).unwrap_or_else(|| below(DISK[1], &disk_critical));
        let disk_cleanup =
            percent(key::DISK_CLEANUP, flags.disk_cleanup_threshold).unwrap_or_else(|| below(DISK[0], &disk_warning));
        let memory_critical =
            percent(key::MEMORY_CRITICAL, flags.memory_critical_threshold).unwrap_or(Setting::default_of(MEMORY[1]));
        let memory_warning = percent(key::MEMORY_WARNING, flags.memory_warning_threshold)
            .unwrap_or_else(|| below(MEMORY[0], &memory_critical));

        let mut time =
            |key, flag, default| sources.pick(key, flag, read::seconds).unwrap_or(Setting::default_of(default));
        let gpu_idle = time(key::GPU_IDLE, flags.gpu_idle_threshold, GPU_IDLE);
        let job_grace = time(key::JOB_GRACE, flags.job_grace_period, JOB_GRACE);

        let mut count = |key, flag| sources.pick(key, flag, read::count);
        let runaway_processes = count(key::RUNAWAY_PROCESSES, flags.runaway_selfplay_process_threshold);
        let job_starts = count(key::JOB_STARTS, flags.job_starts_per_second);
        let crash_loop = count(key::CRASH_LOOP, flags.crash_loop_threshold);
        let queue_hard = count(key::QUEUE_HARD, flags.work_queue_hard_limit).unwrap_or(Setting::default_of(QUEUE[1]));
        let queue_soft = count(key::QUEUE_SOFT, flags.work_queue_soft_limit)
            .unwrap_or_else(|| Setting::default_of(QUEUE[0].min(queue_hard.value)));
        Self {
            disk_cleanup,
            disk_warning,
            disk_critical,
            memory_warning,
            memory_critical,
            gpu_idle,
            job_grace,
            runaway_processes: runaway_processes.unwrap_or(Setting::default_of(RUNAWAY_PROCESSES)),
            job_starts: job_starts.unwrap_or(Setting::default_of(JOB_STARTS)),
            crash_loop: crash_loop.unwrap_or(Setting::default_of(CRASH_LOOP)),
            queue_soft,
            queue_hard,
        }
    }

    /// A lower limit above a higher one would never be reached, or always together with it.
    pub(super) fn judge(&self, problems: &mut Vec<SettingsError>) {
        in_order((key::DISK_CLEANUP, &self.disk_cleanup), (key::DISK_WARNING, &self.disk_warning), problems);
        in_order((key::DISK_WARNING, &self.disk_warning), (key::DISK_CRITICAL, &self.disk_critical), problems);
        in_order((key::MEMORY_WARNING, &self.memory_warning), (key::MEMORY_CRITICAL, &self.memory_critical), problems);
        in_order((key::QUEUE_SOFT, &self.queue_soft), (key::QUEUE_HARD, &self.queue_hard), problems);
    }
}

fn in_order<T: Copy + PartialOrd + Into<u32>>(
    (low_key, low): (Key, &Setting<T>),
    (high_key, high): (Key, &Setting<T>),
    problems: &mut Vec<SettingsError>,
) {
    if low.value > high.value {
        problems.push(SettingsError::Order {
            low: (low_key.name, low.value.into(), low.source.clone()),
            high: (high_key.name, high.value.into(), high.source.clone()),
        });
    }
}
