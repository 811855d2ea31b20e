use std::time::Duration;

/// A round trip longer than this says too little about the other clock.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(5);
/// One odd sample accuses nobody.
const SAMPLES_TO_JUDGE: u32 = 3;

/// How far another node's wall clock is from ours, as far as round trips tell.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClockOffset {
    /// The other clock minus ours, in milliseconds.
    estimate_ms: i64,
    /// Half of the round trip that it was measured with.
    error_ms: i64,
    samples: u32,
    /// Whether it was reported as wrong.
    pub(crate) reported: bool,
}

impl ClockOffset {
    /// Takes in one round trip: our clock before and after it, and theirs somewhere in between.
    pub(crate) fn sample(&mut self, sent_ms: i64, received_ms: i64, theirs_ms: i64, round_trip: Duration) {
        if round_trip > MAX_ROUND_TRIP {
            return;
        }
        let middle = sent_ms.midpoint(received_ms);
        let offset = theirs_ms.saturating_sub(middle);
        let error = round_trip.as_millis() as i64 / 2;
        let apart = offset.saturating_sub(self.estimate_ms).saturating_abs();
        if self.samples == 0 || apart > 1000 + error + self.error_ms {
            // The first, or somebody set a clock.
            (self.estimate_ms, self.error_ms, self.samples) = (offset, error, 0);
        } else {
            self.estimate_ms += (offset - self.estimate_ms) / 4;
            self.error_ms = error.min(self.error_ms + 1);
        }
        self.samples = self.samples.saturating_add(1);
    }

    /// Our own clock was put forward by `step_ms`.
    pub(crate) fn own_clock_set(&mut self, step_ms: i64) {
        self.estimate_ms = self.estimate_ms.saturating_sub(step_ms);
    }

    /// The other clock minus ours in milliseconds, if it was measured.
    pub(crate) fn estimate_ms(&self) -> Option<i64> {
        (self.samples > 0).then_some(self.estimate_ms)
    }

    /// Measured often enough to be judged.
    pub(crate) fn is_settled(&self) -> bool {
        self.samples >= SAMPLES_TO_JUDGE
    }

    /// Whether the clocks differ by more than `tolerance` even if the error of measurement is taken off. A clock that
    /// was reported must come clearly below it, so that one at the limit is not reported again and again.
    pub(crate) fn is_off(&self, tolerance: Duration) -> bool {
        let tolerance = tolerance.as_millis() as i64;
        let limit = if self.reported { tolerance / 5 * 4 } else { tolerance };
        self.is_settled() && self.estimate_ms.saturating_abs().saturating_sub(self.error_ms) > limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_is_taken_from_the_middle_of_the_round_trip() {
        let mut clock = ClockOffset::default();
        for i in 0..5 {
            let sent = 1_000_000 + i * 1000;
            clock.sample(sent, sent + 200, sent + 100 + 300_000, Duration::from_millis(200));
        }
        assert_eq!(clock.estimate_ms(), Some(300_000));
        assert!(clock.is_off(Duration::from_secs(30)));
    }

    #[test]
    fn a_slow_answer_is_not_a_wrong_clock() {
        let mut clock = ClockOffset::default();
        for _ in 0..5 {
            clock.sample(0, 4000, 4000, Duration::from_secs(4));
        }
        assert!(!clock.is_off(Duration::from_secs(1)), "2 s of 4 s of round trip prove nothing");
    }

    #[test]
    fn a_clock_that_was_set_is_right_after_three_samples() {
        let mut clock = ClockOffset::default();
        (0..9).for_each(|_| clock.sample(0, 10, 90_000, Duration::from_millis(10)));
        clock.reported = true;
        (0..3).for_each(|_| clock.sample(0, 10, 5, Duration::from_millis(10)));
        assert_eq!(clock.estimate_ms(), Some(0));
        assert!(clock.is_settled() && !clock.is_off(Duration::from_secs(30)));
    }

    #[test]
    fn absurd_clocks_do_not_overflow() {
        for theirs in [i64::MIN, i64::MAX, 0] {
            for ours in [i64::MIN, i64::MAX, 0] {
                let mut clock = ClockOffset::default();
                (0..4).for_each(|_| clock.sample(ours, ours, theirs, Duration::ZERO));
                (0..4).for_each(|_| clock.sample(ours, ours, -1, Duration::ZERO));
                let _ = clock.is_off(Duration::from_secs(30));
            }
        }
    }
}
