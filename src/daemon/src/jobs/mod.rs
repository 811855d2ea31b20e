//! What does this node do about jobs? It runs what is agreed to run here, and says how that goes.

mod backlog;
mod desk;
mod facts;
mod keep;
mod launch;
mod lead;
mod local;
mod log;
mod machine;
mod meter;
mod place;
mod request;
mod tally;
mod tell;
mod terms;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use ringrift_config::{Host, Settings};
use ringrift_jobs::{RunState, StopReason};
use tokio::{sync::Notify, time::timeout};
use tracing::warn;

pub(crate) use self::{
    desk::Desk,
    facts::{JobFacts, Offer},
    keep::run,
    lead::lead,
    local::Local,
    log::read as read_log,
    machine::{Machine, SHIM},
    place::folders,
    request::{from_submit, from_work},
    tally::Tally,
};

/// How long a node that must not leave anything behind waits for its jobs.
const STOP_ALL_WITHIN: Duration = Duration::from_secs(5);

/// This node's part in jobs. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) machine: Machine,
    /// What the others are told; replaced after each look.
    facts: ArcSwap<JobFacts>,
    /// What runs here; replaced after each look.
    local: ArcSwap<Local>,
    /// Wakes the loop for a look at once.
    look: Notify,
    /// What this node has counted while it led.
    pub(crate) tally: Tally,
}

impl std::ops::Deref for Jobs {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Jobs {
    /// Finds out how jobs are run here, and adopts those that run.
    pub(crate) async fn open(settings: &Settings) -> Self {
        let machine = Machine::open(settings).await;
        Self(Arc::new(Inner {
            machine,
            facts: ArcSwap::default(),
            local: ArcSwap::default(),
            look: Notify::new(),
            tally: Tally::default(),
        }))
    }
}

impl Inner {
    /// What the others are told.
    pub(crate) fn facts(&self) -> Arc<JobFacts> {
        self.facts.load_full()
    }

    /// What runs here.
    pub(crate) fn local(&self) -> Arc<Local> {
        self.local.load_full()
    }

    /// Stops everything that runs here and waits for it, for a node that is nobody's any more. Elsewhere jobs outlive the daemon.
    pub(crate) async fn stop_all(&self) {
        let Some(runner) = self.machine.runner() else { return };
        let stopping = async {
            loop {
                let found = runner.list().await.unwrap_or_default();
                let left: Vec<_> = found.iter().filter(|one| !matches!(one.state, RunState::Ended(_))).collect();
                if left.is_empty() {
                    return;
                }
                for one in left.iter().filter(|one| !matches!(one.state, RunState::Stopping)) {
                    if let Err(error) = runner.stop(&one.run, StopReason::Unwanted).await {
                        warn!(%error, "a job could not be stopped");
                    }
                }
                let _ = timeout(Duration::from_millis(200), runner.changed()).await;
            }
        };
        if timeout(STOP_ALL_WITHIN, stopping).await.is_err() {
            warn!(
                "not all jobs ended within {} s; they are killed after their grace period",
                STOP_ALL_WITHIN.as_secs()
            );
        }
    }

    /// Something has changed: what runs here is looked at now.
    pub(crate) fn look_now(&self) {
        self.look.notify_one();
    }
}

/// How many jobs a host takes at once: what its file says, or else one for each GPU, or for each four processors.
pub(crate) fn slots(host: Option<&Host>, cpus: u32, gpus: u32) -> u32 {
    let named = host.and_then(|host| host.max_parallel_jobs);
    named.unwrap_or_else(|| gpus.max(cpus / 4).clamp(1, 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_says_nothing_takes_what_it_can_bear() {
        assert_eq!(slots(None, 2, 0), 1);
        assert_eq!(slots(None, 64, 0), 16);
        assert_eq!(slots(None, 8, 8), 8);
        assert_eq!(slots(None, 512, 0), 16);
    }
}
