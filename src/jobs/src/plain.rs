//! Runs as plain processes, for containers without systemd.
//!
//! Between the daemon and each program stands a shim, a small process that outlives the daemon: it stops the program, waits for
//! it, copies its output, and writes down how it ended. The daemon finds it again by a directory that it keeps for each run.

mod cgroup;
mod environment;
mod limits;
mod log;
pub(crate) mod manifest;
pub(crate) mod process;
mod runs;
mod settings;
mod shim;
mod watch;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use ringrift_job::{Limits, RunId, Usage};

use self::runs::Runs;
pub use self::{runs::Limitation, settings::PlainSettings, shim::shim};
use crate::{Found, Launch, Runner, RunnerError, StopReason};

/// A variable that marks a run's processes: its value is the run's directory, so that no other run and no other node has it.
const MARK: &str = "RINGRIFT_JOB_DIR";

/// Starts runs as plain processes.
pub struct PlainRunner {
    runs: Arc<Runs>,
}

impl PlainRunner {
    /// Opens the directory, makes it if need be, and adopts the runs that are there. To be called inside a tokio runtime.
    pub async fn open(settings: PlainSettings) -> Result<Self, RunnerError> {
        let runs = blocking(|| Runs::open(settings)).await?;
        let runs = Arc::new(runs);
        let opened = Arc::clone(&runs);
        blocking(move || opened.adopt()).await?;
        Ok(Self { runs })
    }

    /// The limits that are not kept here, and why.
    pub fn limitations(&self) -> &[Limitation] {
        self.runs.limitations()
    }

    /// The files with a run's output, standard output and error together, the oldest first.
    pub fn log_files(&self, run: &RunId) -> Vec<PathBuf> {
        self.runs.log_files(run)
    }

    async fn with<T: Send + 'static>(
        &self,
        deed: impl FnOnce(&Arc<Runs>) -> Result<T, RunnerError> + Send + 'static,
    ) -> Result<T, RunnerError> {
        let runs = Arc::clone(&self.runs);
        blocking(move || deed(&runs)).await
    }
}

/// Files and /proc are read where nobody waits for a heartbeat.
async fn blocking<T: Send + 'static>(
    deed: impl FnOnce() -> Result<T, RunnerError> + Send + 'static,
) -> Result<T, RunnerError> {
    let done = tokio::task::spawn_blocking(deed).await;
    done.unwrap_or_else(|error| Err(RunnerError::Unavailable(format!("the runner of plain processes failed: {error}"))))
}

#[async_trait]
impl Runner for PlainRunner {
    fn name(&self) -> &'static str {
        "plain"
    }

    async fn list(&self) -> Result<Vec<Found>, RunnerError> {
        self.with(Runs::list).await
    }

    async fn start(&self, launch: &Launch) -> Result<(), RunnerError> {
        let launch = launch.clone();
        self.with(move |runs| runs.start(launch)).await
    }

    async fn stop(&self, run: &RunId, why: StopReason) -> Result<(), RunnerError> {
        let run = run.clone();
        self.with(move |runs| runs.stop(&run, why)).await
    }

    async fn set_limits(&self, run: &RunId, limits: &Limits) -> Result<(), RunnerError> {
        let (run, limits) = (run.clone(), limits.clone());
        self.with(move |runs| runs.set_limits(&run, &limits)).await
    }

    async fn usage(&self, run: &RunId) -> Result<Usage, RunnerError> {
        let run = run.clone();
        self.with(move |runs| runs.usage(&run)).await
    }

    async fn forget(&self, run: &RunId) -> Result<(), RunnerError> {
        let run = run.clone();
        self.with(move |runs| runs.forget(&run)).await
    }

    async fn changed(&self) {
        self.runs.changed().await;
    }
}
