//! What is kept of a run on disk, so that it is found again: a directory with a file for each writer.
//!
//! `spec` is written by the daemon before the start, `state` by the run's shim as long as that lives, `stop` by the daemon. The shim
//! holds a lock on `lock`; it is free when, and only when, the shim is gone.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use ringrift_job::{Ending, Kind, RunId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::process::Process;
use crate::{Launch, StopReason};

/// What the shim is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) launch: Launch,
    /// The program that is a shim, and the arguments that make it one.
    pub(crate) shim: Vec<String>,
    /// The run's control group, to be made.
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) log: LogSpec,
}

/// Where the output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogSpec {
    pub(crate) path: PathBuf,
    /// A piece is put aside when it has grown to so many bytes.
    pub(crate) piece_bytes: u64,
    /// So many pieces are kept besides the newest.
    pub(crate) old_pieces: u32,
}

/// What the shim tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Where the process numbers mean anything ([`super::process::world`]).
    pub(crate) world: String,
    pub(crate) shim: Process,
    pub(crate) phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(crate) enum Phase {
    Starting,
    Running {
        main: Process,
        /// Wall clock, in milliseconds since the epoch.
        since_ms: u64,
        /// `CLOCK_MONOTONIC`, which all processes of a machine share, in milliseconds.
        monotonic_ms: u64,
    },
    Ended {
        ending: Ending,
    },
}

/// The directory of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    const SPEC: &str = "spec.json";
    const STATE: &str = "state.json";
    const STOP: &str = "stop.json";
    const LOCK: &str = "lock";

    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes down what is to be started. From here on the run is known.
    pub(crate) fn create(&self, spec: &Spec) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        self.write(Self::SPEC, spec)
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.join(Self::SPEC).exists()
    }

    pub(crate) fn spec(&self) -> io::Result<Spec> {
        self.read(Self::SPEC)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// None as long as the shim has not got that far.
    pub(crate) fn state(&self) -> io::Result<Option<State>> {
        self.read(Self::STATE)
    }

    pub(crate) fn set_state(&self, state: &State) -> io::Result<()> {
        self.write(Self::STATE, state)
    }

    pub(crate) fn stop(&self) -> io::Result<Option<StopReason>> {
        self.read(Self::STOP)
    }

    /// Asks for a stop. The first reason counts.
    pub(crate) fn set_stop(&self, reason: StopReason) -> io::Result<()> {
        if self.0.join(Self::STOP).exists() { Ok(()) } else { self.write(Self::STOP, &reason) }
    }

    /// The lock, if nobody holds it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.0.join(Self::LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        // First what makes it known: a removal that is cut short must not leave half a run.
        for name in [Self::SPEC, Self::STATE] {
            gone(fs::remove_file(self.0.join(name)))?;
        }
        gone(fs::remove_dir_all(&self.0))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.0.join(name)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Each file has one writer at a time, so one temporary name is enough. Not synced: what a power failure undoes it undoes to
    /// the processes as well.
    fn write(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let temporary = self.0.join(format!(".{name}"));
        fs::write(&temporary, serde_json::to_vec(value)?)?;
        fs::rename(temporary, self.0.join(name))
    }
}

/// Success, also when it was gone already.
pub(crate) fn gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The name of a run's directory, log file and control group: `selfplay@selfplay-3k9x0a7c2m.1`.
pub(crate) fn file_name(run: &RunId) -> String {
    format!("{}@{}", run.kind, run.instance())
}

/// The run of such a name.
pub(crate) fn run_of(name: &str) -> Option<RunId> {
    let (kind, instance) = name.split_once('@')?;
    RunId::of_instance(kind.parse::<Kind>().ok()?, instance)
}

/// `CLOCK_MONOTONIC` in milliseconds.
pub(crate) fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
