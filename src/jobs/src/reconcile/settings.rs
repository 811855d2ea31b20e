use std::time::Duration;

/// The numbers that a node reconciles by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconcileSettings {
    /// Starts in one second, at most.
    pub starts_per_second: usize,
    /// Starts under way at once, at most.
    pub starts_in_flight: usize,
    /// `RINGRIFT_RUNAWAY_SELFPLAY_PROCESS_THRESHOLD`: with more processes in all self-play of the node, no more is started.
    /// Threads are not counted: a numeric library starts one for each processor of the machine.
    pub runaway_threshold: u64,
    /// A run that fails earlier than this after its start counts as a crash.
    pub crash_after: Duration,
    /// The pause after the first crash; it doubles with each further one.
    pub backoff_first: Duration,
    /// The longest pause.
    pub backoff_longest: Duration,
    /// With so many crashes in a row it is a crash loop, and waiting runs of the class are refused.
    pub crash_loop: u32,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            starts_per_second: 4,
            starts_in_flight: 8,
            runaway_threshold: 128,
            crash_after: Duration::from_secs(10),
            backoff_first: Duration::from_secs(1),
            backoff_longest: Duration::from_mins(5),
            crash_loop: 3,
        }
    }
}
