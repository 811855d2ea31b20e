//! How long may a run take to end? SIGTERM and, after the template's own time, SIGKILL are systemd's; a class may give less or more.

use std::{sync::PoisonError, time::Duration};

use ringrift_job::RunId;
use ringrift_launch::monotonic_us;
use ringrift_systemd::{manager, zbus};
use rustix::process::Signal;
use tokio::time::Instant;

use super::{SystemdRunner, bus::Session, failed};

impl SystemdRunner {
    /// Tells a run that is up to end. systemd would kill it after the template's own time (`TimeoutStopSec=`): where its class gives it
    /// more, it is sent the same signal without systemd's taking it for a stop, and [`kill_overdue`](Self::kill_overdue) does the rest.
    pub(super) async fn tell_to_end(&self, session: &Session, run: &RunId) -> zbus::Result<()> {
        if !self.has_more_time_than_its_unit(session, run).await {
            // "replace" takes a queued start away.
            return session.manager.stop_unit(&run.unit(), "replace").await.map(|_| ());
        }
        session.manager.kill_unit(&run.unit(), "main", Signal::TERM.as_raw()).await?;
        if let Err(error) = self.files.note_signalled(run) {
            // It will be signalled once more.
            tracing::warn!(%run, "it is not noted that it was told to end: {error}");
        }
        Ok(())
    }

    async fn has_more_time_than_its_unit(&self, session: &Session, run: &RunId) -> bool {
        let Some(spec) = self.files.spec(run) else { return false };
        let of_unit = async {
            let path = session.manager.get_unit(&run.unit()).await?;
            let service = manager::service(&session.connection, path).await?;
            zbus::Result::Ok(if service.main_pid().await? == 0 {
                u64::MAX
            } else {
                service.timeout_stop_usec().await?
            })
        };
        of_unit.await.is_ok_and(|of_unit| spec.launch.grace > Duration::from_micros(of_unit))
    }

    /// Kills what was told to stop longer ago than its grace period, should that not be the template's own, and notes when to look
    /// again.
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
