use std::{fmt, time::Duration};

use ringrift_job::{ClassName, RunId};

/// A safety net that has caught something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Net {
    /// A run had more processes and threads than it may have; it is stopped.
    Runaway {
        /// Which.
        run: RunId,
        /// What it had.
        tasks: u64,
        /// What it may have.
        limit: u64,
    },
    /// All self-play of the node together has too many processes; no more is started.
    TooManyProcesses {
        /// What it has.
        processes: u64,
        /// What it may have.
        threshold: u64,
    },
    /// Runs of a class fail again and again soon after their start; the class pauses.
    CrashLoop {
        /// Which class.
        class: ClassName,
        /// How often in a row.
        failures: u32,
        /// How long it pauses.
        pause: Duration,
        /// The last failure, as a sentence.
        reason: String,
    },
    /// Starts wait, because there were many at once.
    SpawnLimited {
        /// How many.
        waiting: usize,
    },
    /// A run's GPU was idle for too long; it is stopped.
    GpuIdle {
        /// Which.
        run: RunId,
    },
}

impl Net {
    /// Its name, as metrics spell it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Runaway { .. } => "runaway",
            Self::TooManyProcesses { .. } => "too_many_processes",
            Self::CrashLoop { .. } => "crash_loop",
            Self::SpawnLimited { .. } => "spawn_limited",
            Self::GpuIdle { .. } => "gpu_idle",
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runaway { run, tasks, limit } => {
                write!(f, "{run} has {tasks} processes and threads, and may have {limit}: it is stopped")
            }
            Self::TooManyProcesses { processes, threshold } => {
                write!(f, "self-play here has {processes} processes, more than {threshold}: no more is started")
            }
            Self::CrashLoop { class, failures, pause, reason } => write!(
                f,
                "{class} failed {failures} times in a row soon after its start and pauses for {} s; last: {reason}",
                pause.as_secs()
            ),
            Self::SpawnLimited { waiting } => write!(f, "{waiting} starts wait, because there were many at once"),
            Self::GpuIdle { run } => write!(f, "the GPU of {run} was idle for too long: it is stopped"),
        }
    }
}
