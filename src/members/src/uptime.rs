use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::Moment;

/// The time of the machine: the runtime's, plus what the host slept meanwhile.
///
/// `CLOCK_MONOTONIC`, which timers and `Instant` use, stands still while a laptop is suspended (`clock_gettime(2)`). Had
/// the machine only that clock it would go on as if nothing had happened, and accuse everybody of not answering while the
/// network of the host is coming up again. With the sleep in its time it notices that it stood still.
pub(crate) struct Uptime {
    start: Instant,
    wall_ms: WallClock,
    slept_before: Duration,
    slept: Duration,
}

/// A wall clock in milliseconds since 1970.
pub type WallClock = Box<dyn Fn() -> i64 + Send>;

/// Shorter sleeps are not told from the time between two readings of clocks.
const SHORTEST_SLEEP: Duration = Duration::from_millis(500);

impl Uptime {
    pub(crate) fn start(wall_ms: WallClock) -> Self {
        Self { start: Instant::now(), wall_ms, slept_before: slept(), slept: Duration::ZERO }
    }

    pub(crate) fn now(&mut self) -> Moment {
        let slept = slept().saturating_sub(self.slept_before);
        if slept > self.slept + SHORTEST_SLEEP {
            self.slept = slept;
        }
        Moment { at: self.start.elapsed() + self.slept, wall_ms: (self.wall_ms)() }
    }

    /// When the runtime's timers reach `at`; `None` is never.
    pub(crate) fn timer(&self, at: Duration) -> Option<Instant> {
        self.start.checked_add(at.saturating_sub(self.slept))
    }
}

/// How long this host has been suspended since it was booted.
#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |id| Duration::try_from(clock_gettime(id)).unwrap_or_default();
    // Read in this order the difference is too small, never too large, if this thread is interrupted in between.
    let awake_and_asleep = read(ClockId::Boottime);
    awake_and_asleep.saturating_sub(read(ClockId::Monotonic))
}

#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

/// This host's wall clock in milliseconds since 1970.
pub(crate) fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_millis() as i64,
        Err(before) => -(before.duration().as_millis() as i64),
    }
}
