//! A plain runner in a directory of its own, and what is needed to wait for what it does.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use ringrift_job::{CommandLine, Ending, Kind, Limits, RunId};
use ringrift_jobs::{Launch, PlainRunner, PlainSettings, RunState, Runner};
use tempfile::TempDir;

/// Longer than any machine is slow.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A directory with a runner, and what is needed to wait for it.
pub struct Bench {
    pub directory: TempDir,
    pub runner: PlainRunner,
}

pub fn settings(directory: &Path) -> PlainSettings {
    // On a machine to which this program was copied, the shim lies elsewhere than where it was built.
    let shim = std::env::var("RINGRIFT_SHIM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ringrift-shim").to_owned());
    let shim = vec![shim];
    // Without control groups: those would be made beside the ones of this machine, not of the test.
    PlainSettings { cgroups: false, ..PlainSettings::new(directory.join("jobs"), shim) }
}

pub fn run(job: &str) -> RunId {
    RunId { kind: Kind::Selfplay, job: job.parse().unwrap(), attempt: 1 }
}

pub fn launch(place: &Path, job: &str, script: &str) -> Launch {
    Launch {
        run: run(job),
        class: "selfplay".parse().unwrap(),
        command: CommandLine {
            argv: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            working_dir: place.to_owned(),
        },
        limits: Limits::default(),
        gpus: Vec::new(),
        grace: Duration::from_secs(30),
    }
}

impl Bench {
    pub async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub async fn with(change: impl FnOnce(PlainSettings) -> PlainSettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runner = PlainRunner::open(change(settings(directory.path()))).await.unwrap();
        Self { directory, runner }
    }

    /// As if the daemon had been killed and started again.
    pub async fn reopen(&mut self) {
        self.runner = PlainRunner::open(settings(self.directory.path())).await.unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn launch(&self, job: &str, script: &str) -> Launch {
        launch(self.directory.path(), job, script)
    }

    pub async fn start(&self, job: &str, script: &str) -> RunId {
        let launch = self.launch(job, script);
        self.runner.start(&launch).await.unwrap();
        launch.run
    }

    pub async fn state(&self, run: &RunId) -> Option<RunState> {
        let list = self.runner.list().await.unwrap();
        list.into_iter().find(|found| found.run == *run).map(|found| found.state)
    }

    /// Waits until the run is as wanted. Wakes by the runner's own word, and by the clock only to be told of a bug.
    pub async fn until<T>(&self, run: &RunId, wanted: impl Fn(&RunState) -> Option<T>) -> T {
        let reached = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(reached) = self.state(run).await.as_ref().and_then(&wanted) {
                    return reached;
                }
                self.runner.changed().await;
            }
        });
        if let Ok(reached) = reached.await { reached } else { panic!("{run} stays {:?}", self.state(run).await) }
    }

    pub async fn pid(&self, run: &RunId) -> u32 {
        self.until(run, |state| if let RunState::Running { pid, .. } = state { Some(*pid) } else { None }).await
    }

    pub async fn ending(&self, run: &RunId) -> Ending {
        self.until(run, |state| if let RunState::Ended(ending) = state { Some(ending.clone()) } else { None }).await
    }

    pub fn output(&self, run: &RunId) -> String {
        self.runner.log_files(run).iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }
}

/// Waits for what a program does outside of the runner's sight.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

/// Whether a process is there and has not ended.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z") && !rest.starts_with(" X"))
}
