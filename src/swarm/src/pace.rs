use std::time::Duration;

/// Requests in flight before anything is known of a peer.
const START: f64 = 2.0;
/// How much more than the pipe holds is asked for, so that it is found when there is more.
const GAIN: f64 = 1.25;
/// The shortest response is forgotten after so long: routes change, and competitors come and go.
const FLOOR_AGE: Duration = Duration::from_secs(20);
/// What a response is expected to take before anything came.
const UNKNOWN: Duration = Duration::from_secs(5);
/// No request is overdue sooner.
const MIN_DEADLINE: Duration = Duration::from_millis(500);
/// Nor later than this, seconds.
const MAX_DEADLINE: f64 = 300.0;

/// How fast a peer answers, and therefore how many requests keep the way to it full. The control of TCP Vegas (Brakmo and
/// Peterson 1995): a response that takes as long as the shortest one waited for nobody, so more can be in flight.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    window: f64,
    /// From request to arrival, seconds: mean and mean deviation (RFC 6298).
    response: Option<(f64, f64)>,
    /// The shortest response of this period and of the one before, seconds.
    floor: [f64; 2],
    period: Duration,
    allowance: Option<Duration>,
}

impl Pace {
    pub(crate) fn new(now: Duration) -> Self {
        Self { window: START, response: None, floor: [f64::INFINITY; 2], period: now, allowance: None }
    }

    /// A chunk came that was asked for at `asked`.
    pub(crate) fn arrived(&mut self, asked: Duration, now: Duration) {
        let took = now.saturating_sub(asked).as_secs_f64().max(1e-6);
        let (mean, deviation) = self.response.unwrap_or((took, took / 2.0));
        self.response = Some((mean + (took - mean) / 8.0, deviation + ((took - mean).abs() - deviation) / 4.0));
        self.allow();
        if now.saturating_sub(self.period) > FLOOR_AGE {
            self.period = now;
            self.floor = [f64::INFINITY, self.floor[0]];
        }
        self.floor[0] = self.floor[0].min(took);
        let target = 1.0 + GAIN * self.window * self.floor[0].min(self.floor[1]) / took;
        self.window += (target - self.window) / 4.0;
    }

    /// It was too slow: asks for one at a time until it answers again.
    pub(crate) fn late(&mut self) {
        self.window = 1.0;
        if let Some((mean, _)) = &mut self.response {
            *mean = (*mean * 2.0).min(MAX_DEADLINE);
        }
        self.allow();
    }

    pub(crate) fn window(&self, max: usize) -> usize {
        (self.window as usize).clamp(1, max)
    }

    /// From request to arrival, as of late.
    pub(crate) fn expected(&self) -> Duration {
        self.response.map_or(UNKNOWN, |(mean, _)| Duration::from_secs_f64(mean))
    }

    /// How long a request may take; `None` before anything came.
    pub(crate) fn allowance(&self) -> Option<Duration> {
        self.allowance
    }

    /// Kept because it is asked for far more often than it changes.
    fn allow(&mut self) {
        self.allowance = self.response.map(|(mean, deviation)| {
            Duration::from_secs_f64((2.0 * mean + 4.0 * deviation).min(MAX_DEADLINE)).max(MIN_DEADLINE)
        });
    }
}
