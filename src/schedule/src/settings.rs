use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringrift_job::{Class, GameConfig};
use ringrift_state::{Fill, Job};

/// What is configured of the scheduler.
#[derive(Debug, Clone)]
pub struct Settings {
    /// After what time without an answer a node is judged dead.
    pub failure_timeout: Duration,
    /// For how long a dead node keeps its jobs: it may come back with all of them running.
    pub reconnect_window: Duration,
    /// For how long a node that is there may keep silent about a job that it was given.
    pub start_timeout: Duration,
    /// How long a pull worker has a job that does not say so itself.
    pub lease: Duration,
    /// How long a job waits after an attempt that did not work out; doubled each time.
    pub backoff: Duration,
    /// It never waits longer than that.
    pub max_backoff: Duration,
    /// For how long a job keeps away from nodes that gave it back.
    pub avoid: Duration,
    /// How many jobs of a class a node may give back in a row before it gets none of it for a while.
    pub strikes: u32,
    /// For how long; doubled each time.
    pub block: Duration,
    /// For how long a queued job waits for filled ones to end by themselves before they are stopped for it; none for ever.
    pub preempt_after: Option<Duration>,
    /// How many placements are made at once: what bounds the time of a step and the size of a command.
    pub max_placements: usize,
    /// How idle slots are filled.
    pub fill: FillPolicy,
}

/// How idle slots are filled.
#[derive(Debug, Clone, Default)]
pub struct FillPolicy {
    /// Whether they are.
    pub enabled: bool,
    /// With what: of each node's offer the first of these that fits.
    pub classes: Vec<Arc<Class>>,
    /// How much each configuration gets against the others; 1 for those not named, 0 for none.
    pub weights: BTreeMap<GameConfig, u32>,
}

impl Settings {
    /// How much more an underserved configuration gets than its weight says.
    pub const UNDERSERVED: u32 = 4;

    /// How long a new leader looks on before it takes a job from anybody: a full failure timeout, and the window of whoever it
    /// then sees to be dead.
    pub fn judging_after(&self) -> Duration {
        self.failure_timeout + self.reconnect_window
    }

    /// How long the job waits before its next attempt. One that was given back is the node's failure: it does not wait longer
    /// each time.
    pub(crate) fn backoff(&self, job: &Job) -> Duration {
        let count = match job.attempts.last() {
            _ if job.retry == 0 => 0,
            Some(last) if !last.refused => job.failures.max(1),
            Some(_) | None => 1,
        };
        doubled(self.backoff, count).min(self.max_backoff)
    }
}

/// The time, doubled for each count above one; nothing for none.
pub(crate) fn doubled(time: Duration, count: u32) -> Duration {
    match count {
        0 => Duration::ZERO,
        count => time.saturating_mul(1 << (count - 1).min(16)),
    }
}

impl FillPolicy {
    /// This, unless the cluster agreed on something else.
    #[must_use]
    pub fn agreed(mut self, fill: Option<&Fill>) -> Self {
        if let Some(fill) = fill {
            self.enabled = fill.enabled;
            self.weights.clone_from(&fill.weights);
        }
        self
    }

    pub(crate) fn weight(&self, game: GameConfig) -> u32 {
        self.weights.get(&game).copied().unwrap_or(1)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failure_timeout: Duration::from_secs(10),
            reconnect_window: Duration::from_mins(1),
            start_timeout: Duration::from_mins(2),
            lease: Duration::from_hours(1),
            backoff: Duration::from_secs(5),
            max_backoff: Duration::from_mins(10),
            avoid: Duration::from_mins(5),
            strikes: 3,
            block: Duration::from_mins(1),
            preempt_after: Some(Duration::from_mins(5)),
            max_placements: 512,
            fill: FillPolicy::default(),
        }
    }
}
