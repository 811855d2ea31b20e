//! What runs use, measured now and then.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ringrift_job::{RunId, Usage};
use ringrift_jobs::{Found, RunState, Runner};

/// How often.
const MEASURE_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Meter {
    usage: BTreeMap<RunId, Usage>,
    measured: Option<Instant>,
}

impl Meter {
    pub(super) async fn look(&mut self, runner: &dyn Runner, found: &[Found]) {
        if self.measured.is_some_and(|at| at.elapsed() < MEASURE_EVERY) {
            return;
        }
        self.measured = Some(Instant::now());
        let mut usage = BTreeMap::new();
        for found in found.iter().filter(|found| matches!(found.state, RunState::Running { .. })) {
            match runner.usage(&found.run).await {
                Ok(used) => {
                    usage.insert(found.run.clone(), used);
                }
                // It ended a moment ago, most likely; the next look tells.
                Err(error) => tracing::debug!(run = %found.run, %error, "its use cannot be measured"),
            }
        }
        self.usage = usage;
    }

    /// What each run used when it was measured last.
    pub(super) fn usage(&self) -> &BTreeMap<RunId, Usage> {
        &self.usage
    }

    /// One of the figures, of the runs that have it.
    pub(super) fn counted(&self, count: fn(&Usage) -> Option<u64>) -> BTreeMap<RunId, u64> {
        self.usage.iter().filter_map(|(run, usage)| Some((run.clone(), count(usage)?))).collect()
    }
}
