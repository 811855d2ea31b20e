//! How long may a run take to end? SIGTERM and, after the template's own time, SIGKILL are systemd's; a class may give less.

use std::{sync::PoisonError, time::Duration};

use ringrift_job::RunId;
use ringrift_launch::monotonic_us;
use ringrift_systemd::manager;
use rustix::process::Signal;
use tokio::time::Instant;

use super::{SystemdRunner, bus::Session, failed};

impl SystemdRunner {
    /// Says so when a run has less time to end than its class gives it: that is the unit's to say (`TimeoutStopSec=`).
    pub(super) async fn compare_grace(&self, session: &Session, run: &RunId) {
        let of_unit = async {
            let path = session.manager.get_unit(&run.unit()).await?;
            manager::service(&session.connection, path).await?.timeout_stop_usec().await
        };
        if let (Ok(of_unit), Some(spec)) = (of_unit.await.map(Duration::from_micros), self.files.spec(run))
            && spec.launch.grace > of_unit
        {
            tracing::warn!(
                %run,
                "it has {} s to end, not {}: TimeoutStopSec= of ringrift-{}@.service is shorter",
                of_unit.as_secs(),
                spec.launch.grace.as_secs(),
                run.kind
            );
        }
    }

    /// Kills what was told to stop longer ago than its grace period, should that be shorter than the template's own, and notes
    /// when to look again.
    pub(super) async fn kill_overdue(&self, session: &Session, stopping: &[RunId]) {
        let mut next = None;
        for run in stopping {
            let (Some(stop), Some(spec)) = (self.files.stop(run), self.files.spec(run)) else { continue };
            let passed = Duration::from_micros(monotonic_us().saturating_sub(stop.at_us));
            let left = spec.launch.grace.saturating_sub(passed);
            if left.is_zero() {
                // The main process alone: the rest of a unit with KillMode=mixed is killed when it is gone, and what records
                // its end is not.
                let killed = session.manager.kill_unit(&run.unit(), "main", Signal::KILL.as_raw()).await;
                if let Err(error) = killed.as_ref().map_err(|error| failed(session, "kill", run, error)) {
                    tracing::warn!(%run, "{error}");
                }
            } else {
                next = next.into_iter().chain([Instant::now() + left]).min();
            }
        }
        *self.next_kill.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }
}
