//! Runs as units of systemd: instances of the templates `ringrift-KIND@.service`.
//!
//! What was set before a unit is started is in force before its first process: systemd loads the unit, keeps the limits for
//! it under `/run/systemd/system.control`, and makes the cgroup with them. So no program runs for a moment without.
//!
//! Of a run that ends while the daemon is away, systemd keeps the unit if it failed, and the unit's own `ExecStopPost=` keeps a
//! record in any case (`ringrift-launch`). What systemd still knows counts more.

mod bus;
mod ending;
mod fault;
pub(crate) mod files;
mod grace;
mod properties;
mod unit;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use ringrift_job::{Kind, Launch, Limits, RunId, Usage};
use ringrift_launch::{Extension, FOLDER};
use ringrift_systemd::{
    manager,
    zbus::{self, Variant},
};
use tokio::time::{Instant, sleep_until};

use self::{
    bus::{Bus, Session},
    files::Files,
};
use crate::{Found, RunState, Runner, RunnerError, StopReason};

/// How often to look without having been told, should a signal of systemd's get lost.
const POLL: Duration = Duration::from_secs(15);

/// Runs jobs as systemd units.
#[derive(Debug)]
pub struct SystemdRunner {
    bus: Bus,
    files: Files,
    /// Runs between the writing of their spec and systemd's word that their start is queued.
    starting: Mutex<BTreeSet<RunId>>,
    /// When the next run must be killed that was told to stop.
    next_kill: Mutex<Option<Instant>>,
}

impl Default for SystemdRunner {
    fn default() -> Self {
        Self::new()
    }
}

impl SystemdRunner {
    /// A runner with its files where the launcher looks for them. Connects when it is first used.
    pub fn new() -> Self {
        Self::with_files_in(PathBuf::from(FOLDER))
    }

    fn with_files_in(place: PathBuf) -> Self {
        Self { bus: Bus::default(), files: Files::new(place), starting: Mutex::default(), next_kill: Mutex::default() }
    }

    /// Whether runs can be started here: systemd answers, and has the templates. An error says what is missing.
    pub async fn check(&self) -> Result<(), RunnerError> {
        let session = self.session().await?;
        for kind in Kind::ALL {
            let loaded = async {
                let path = session.manager.load_unit(&format!("ringrift-{kind}@check.service")).await?;
                manager::unit(&session.connection, path).await?.load_state().await
            };
            match loaded.await {
                Ok(state) if state == "loaded" => {}
                Ok(_) => return Err(fault::no_template(kind)),
                Err(error) => {
                    session.note(&error);
                    return Err(fault::no_bus(&error));
                }
            }
        }
        Ok(())
    }

    async fn session(&self) -> Result<Session, RunnerError> {
        self.bus.session().await.map_err(|error| fault::no_bus(&error))
    }

    /// Marks a run as being started until the answer is dropped; none when it is marked already.
    fn mark_starting(&self, run: &RunId) -> Option<Starting<'_>> {
        let mut starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        starting.insert(run.clone()).then(|| Starting { all: &self.starting, run: run.clone() })
    }

    fn starting(&self) -> BTreeSet<RunId> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `active`, `failed` …; none when systemd has no such unit loaded.
    async fn active_state(&self, session: &Session, run: &RunId) -> zbus::Result<Option<String>> {
        match session.manager.get_unit(&run.unit()).await {
            Ok(path) => manager::unit(&session.connection, path).await?.active_state().await.map(Some),
            Err(error) if fault::is_no_such_unit(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

struct Starting<'a> {
    all: &'a Mutex<BTreeSet<RunId>>,
    run: RunId,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
    }
}

fn failed(session: &Session, deed: &'static str, run: &RunId, error: &zbus::Error) -> RunnerError {
    session.note(error);
    fault::of_call(deed, run, error)
}

fn of_file(deed: &'static str, run: &RunId, place: &Path, error: &io::Error) -> RunnerError {
    RunnerError::Failed { deed, run: run.clone(), reason: format!("its file in {}: {error}", place.display()) }
}

#[async_trait]
impl Runner for SystemdRunner {
    fn name(&self) -> &'static str {
        "systemd"
    }

    async fn list(&self) -> Result<Vec<Found>, RunnerError> {
        // In this order nothing falls through: a run has a spec before it is marked no longer, is loaded before the mark is
        // gone, and has a record before it is unloaded.
        let known = self.files.runs().map_err(|error| {
            RunnerError::Unavailable(format!("{} cannot be read: {error}", self.files.place().display()))
        })?;
        let starting = self.starting();
        let session = self.session().await?;
        let patterns = Kind::ALL.map(|kind| format!("ringrift-{kind}@*.service"));
        let units = session.manager.list_units_by_patterns(&[], &patterns.each_ref().map(String::as_str)).await;
        let units = units.map_err(|error| {
            session.note(&error);
            fault::no_bus(&error)
        })?;
        let (mut found, mut stopping) = (BTreeMap::new(), Vec::new());
        for listed in units {
            let Some(run) = RunId::of_unit(&listed.name) else { continue };
            let is_signalled =
                || listed.active_state == "active" && self.files.stop(&run).is_some_and(|stop| stop.signalled);
            if listed.sub_state == "stop-sigterm" || is_signalled() {
                stopping.push(run.clone());
            }
            let state = unit::state(&session, &listed, &run, &self.files).await;
            if let Some(state) = state.map_err(|error| failed(&session, "look at", &run, &error))? {
                found.insert(run, state);
            }
        }
        for run in known {
            let state = |run: &RunId| {
                if starting.contains(run) {
                    RunState::Starting
                } else {
                    RunState::Ended(unit::recorded_ending(run, &self.files))
                }
            };
            found.entry(run).or_insert_with_key(state);
        }
        self.kill_overdue(&session, &stopping).await;
        Ok(found.into_iter().map(|(run, state)| Found { run, state }).collect())
    }

    async fn start(&self, launch: &Launch) -> Result<(), RunnerError> {
        const DEED: &str = "start";
        let run = &launch.run;
        let Some(_starting) = self.mark_starting(run) else { return Ok(()) };
        let session = self.session().await?;
        let state = self.active_state(&session, run).await.map_err(|error| failed(&session, DEED, run, &error))?;
        if self.files.has(run, Extension::Json) || state.is_some_and(|state| state != "inactive") {
            return Ok(());
        }
        self.files.write_spec(launch).map_err(|error| of_file(DEED, run, self.files.place(), &error))?;
        let mut properties = properties::of_limits(&launch.limits);
        properties.extend(properties::of_gpus(&launch.gpus, Path::new(properties::NVIDIA_GPUS)));
        let started = async {
            set_properties(&session, run, &properties).await?;
            session.manager.start_unit(&run.unit(), "fail").await
        };
        let Err(error) = started.await else { return Ok(()) };
        // Of a connection that broke nobody knows whether the run was started; otherwise it was not.
        if !matches!(error, zbus::Error::InputOutput(_)) {
            self.files.remove_all(run).map_err(|error| of_file(DEED, run, self.files.place(), &error))?;
        }
        Err(failed(&session, DEED, run, &error))
    }

    async fn stop(&self, run: &RunId, why: StopReason) -> Result<(), RunnerError> {
        const DEED: &str = "stop";
        let session = self.session().await?;
        let state = self.active_state(&session, run).await.map_err(|error| failed(&session, DEED, run, &error))?;
        match state.as_deref() {
            Some("inactive") | None if !self.files.has(run, Extension::Json) => {
                return Err(RunnerError::Unknown(run.clone()));
            }
            Some("deactivating" | "failed") | None => return Ok(()),
            Some("active") if self.files.stop(run).is_some_and(|stop| stop.signalled) => return Ok(()),
            // Inactive is also one whose start is queued.
            Some(_) => {}
        }
        self.files.write_stop(run, why).map_err(|error| of_file(DEED, run, self.files.place(), &error))?;
        match self.tell_to_end(&session, run).await {
            Ok(()) => {
                // So that the time of its killing is noted.
                self.bus.bell.notify_one();
                Ok(())
            }
            Err(error) if fault::is_no_such_unit(&error) => Ok(()),
            Err(error) => {
                self.files
                    .remove(run, Extension::Stop)
                    .map_err(|error| of_file(DEED, run, self.files.place(), &error))?;
                Err(failed(&session, DEED, run, &error))
            }
        }
    }

    async fn set_limits(&self, run: &RunId, limits: &Limits) -> Result<(), RunnerError> {
        const DEED: &str = "limit";
        let session = self.session().await?;
        let state = self.active_state(&session, run).await.map_err(|error| failed(&session, DEED, run, &error))?;
        // Set on a unit that is not there, they would be kept for one that never comes.
        if !matches!(state.as_deref(), Some("active" | "activating" | "deactivating" | "reloading" | "refreshing")) {
            return Err(RunnerError::Unknown(run.clone()));
        }
        let set = set_properties(&session, run, &properties::of_limits(limits)).await;
        set.map_err(|error| failed(&session, DEED, run, &error))
    }

    async fn usage(&self, run: &RunId) -> Result<Usage, RunnerError> {
        let session = self.session().await?;
        let usage = async {
            let path = session.manager.get_unit(&run.unit()).await?;
            unit::usage_now(&manager::service(&session.connection, path).await?).await
        };
        match usage.await {
            Ok(usage) => Ok(usage),
            Err(error) if fault::is_no_such_unit(&error) => Err(RunnerError::Unknown(run.clone())),
            Err(error) => Err(failed(&session, "measure", run, &error)),
        }
    }

    async fn forget(&self, run: &RunId) -> Result<(), RunnerError> {
        const DEED: &str = "forget";
        if self.starting().contains(run) {
            return Ok(());
        }
        let session = self.session().await?;
        let state = self.active_state(&session, run).await.map_err(|error| failed(&session, DEED, run, &error))?;
        match state.as_deref() {
            Some("failed") => match session.manager.reset_failed_unit(&run.unit()).await {
                Err(error) if !fault::is_no_such_unit(&error) => return Err(failed(&session, DEED, run, &error)),
                Ok(()) | Err(_) => {}
            },
            Some("inactive") | None => {}
            Some(_) => return Ok(()),
        }
        self.files.remove_all(run).map_err(|error| of_file(DEED, run, self.files.place(), &error))
    }

    async fn changed(&self) {
        let next_kill = *self.next_kill.lock().unwrap_or_else(PoisonError::into_inner);
        let poll = Instant::now() + POLL;
        tokio::select! {
            () = self.bus.bell.notified() => {}
            () = sleep_until(next_kill.map_or(poll, |kill| kill.min(poll))) => {}
        }
    }
}

async fn set_properties(session: &Session, run: &RunId, properties: &[(&str, Variant<'_>)]) -> zbus::Result<()> {
    session.manager.set_unit_properties(&run.unit(), true, properties).await
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn launch(job: &str) -> Launch {
        let command = r#"{"argv": ["true"], "env": {}, "working_dir": "/"}"#;
        Launch {
            run: RunId { kind: Kind::Selfplay, job: job.parse().unwrap(), attempt: 1 },
            class: "selfplay".parse().unwrap(),
            command: serde_json::from_str(command).unwrap(),
            limits: Limits::default(),
            gpus: vec![],
            grace: Duration::from_mins(1),
        }
    }
}
