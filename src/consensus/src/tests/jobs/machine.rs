use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use ringrift_job::{Ending, How, RunId, Usage};
use ringrift_jobs::{Found, RunState};
use tokio::time::Instant;

/// How long a run takes to end once it was told to.
const GRACE: Duration = Duration::from_secs(2);

/// A worker's machine: what runs on it lives on when its daemon ends, and dies with the power. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Machine(Arc<Mutex<Inner>>);

struct Inner {
    runs: BTreeMap<RunId, Run>,
    dice: StdRng,
}

struct Run {
    since: Instant,
    ends: Instant,
    stopped: bool,
}

impl Run {
    fn state(&self, now: Instant) -> RunState {
        let ms = |time: Duration| time.as_millis() as u64;
        if now >= self.ends {
            let how = if self.stopped { How::Stopped } else { How::Exited { code: 0 } };
            let ran_ms = ms(self.ends.saturating_duration_since(self.since));
            return RunState::Ended(Ending { how, ran_ms, usage: Usage::default() });
        }
        if self.stopped {
            return RunState::Stopping;
        }
        RunState::Running { since_ms: 1, ran_ms: ms(now.saturating_duration_since(self.since)), pid: 1 }
    }
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { runs: BTreeMap::new(), dice: StdRng::seed_from_u64(seed) })))
    }

    /// All runs that it knows.
    pub(crate) fn list(&self) -> Vec<Found> {
        let now = Instant::now();
        let inner = self.0.lock().unwrap();
        inner.runs.iter().map(|(run, its)| Found { run: run.clone(), state: its.state(now) }).collect()
    }

    /// Those that have not ended.
    pub(crate) fn alive(&self) -> Vec<RunId> {
        let alive = |found: &Found| !matches!(found.state, RunState::Ended(_));
        self.list().into_iter().filter(alive).map(|found| found.run).collect()
    }

    /// The error is what must never be asked for.
    pub(super) fn start(&self, run: &RunId) -> Result<(), String> {
        if let Some(other) = self.alive().iter().find(|other| other.job == run.job) {
            return Err(format!("{run} is started beside {other}"));
        }
        let now = Instant::now();
        let mut inner = self.0.lock().unwrap();
        let takes = Duration::from_millis(inner.dice.random_range(5_000..45_000));
        match inner.runs.insert(run.clone(), Run { since: now, ends: now + takes, stopped: false }) {
            Some(_) => Err(format!("{run} is started again, and it has ended there")),
            None => Ok(()),
        }
    }

    pub(super) fn stop(&self, run: &RunId) {
        let now = Instant::now();
        let mut inner = self.0.lock().unwrap();
        if let Some(run) = inner.runs.get_mut(run).filter(|run| !run.stopped && now < run.ends) {
            (run.stopped, run.ends) = (true, run.ends.min(now + GRACE));
        }
    }

    pub(super) fn forget(&self, run: &RunId) {
        self.0.lock().unwrap().runs.remove(run);
    }

    /// Nothing is left of what ran on it.
    pub(crate) fn lose_power(&self) {
        self.0.lock().unwrap().runs.clear();
    }
}
