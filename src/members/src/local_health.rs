use std::time::Duration;

/// A timer that fires later than this says that the host, or this process, is starved.
const LATE: Duration = Duration::from_millis(300);
/// One step of recovery without a late timer.
const RECOVERY: Duration = Duration::from_secs(3);
/// The longest patience: timeouts are multiplied by 1 to 8.
const WORST: u32 = 7;

/// How well this node itself is doing: the worse, the more patient it is with others.
///
/// The idea is Lifeguard's (Dadgar et al. 2018, "Lifeguard: Local Health Awareness for More Accurate Failure
/// Detection"): most false accusations come from accusers that are slow themselves. Only late timers count here: missing
/// answers do not, since a node that is cut off should notice it as fast as any other.
#[derive(Debug, Default)]
pub(crate) struct LocalHealth {
    score: u32,
    better_at: Duration,
}

impl LocalHealth {
    /// A timer that was due `lateness` ago fires now.
    pub(crate) fn timer_fired(&mut self, now: Duration, lateness: Duration, standstill: Duration) {
        if lateness > LATE {
            let worse = if lateness > standstill { 2 } else { 1 };
            self.score = (self.score + worse).min(WORST);
            self.better_at = now + RECOVERY;
        } else if self.score > 0 && now >= self.better_at {
            self.score -= 1;
            self.better_at = now + RECOVERY;
        }
    }

    /// `timeout`, with the patience that is due.
    pub(crate) fn stretch(&self, timeout: Duration) -> Duration {
        timeout * (self.score + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn patience_grows_with_late_timers_up_to_eightfold_and_wears_off() {
        let mut health = LocalHealth::default();
        let standstill = Duration::from_millis(1500);
        let table = [(0, 1), (200, 1), (400, 2), (2000, 4), (500, 5), (500, 6), (9000, 8), (500, 8)];
        for (lateness, expected) in table {
            health.timer_fired(SECOND, Duration::from_millis(lateness), standstill);
            assert_eq!(health.stretch(SECOND), SECOND * expected, "after {lateness} ms");
        }
        for second in 2..60 {
            health.timer_fired(SECOND * second, Duration::ZERO, standstill);
        }
        assert_eq!(health.stretch(SECOND), SECOND);
    }
}
