//! The runs of a directory.

mod bury;
mod limitation;
mod logs;

use std::{
    fs, io,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ringrift_job::{Limits, RunId, Usage};
use rustix::process::Signal;
use tokio::{process::Command, sync::Notify};

pub use self::limitation::Limitation;
use super::{
    cgroup::{Leaf, delegated},
    environment, limits,
    log::pieces,
    manifest::{LogSpec, Phase, RunDir, Spec, State, file_name, monotonic_ms, run_of},
    process::{Stat, Table, totals, world},
    settings::PlainSettings,
    shim::SUPERVISE,
    watch,
};
use crate::{Found, Launch, RunState, RunnerError, StopReason};

/// So old may a look at /proc be that several questions share.
const TABLE_AGE: Duration = Duration::from_millis(500);

pub(super) struct Runs {
    settings: PlainSettings,
    /// The control group that holds those of the runs.
    group: Option<PathBuf>,
    limitations: Vec<Limitation>,
    world: String,
    changed: Arc<Notify>,
    /// Whoever looks whether a shim is there holds its lock for a moment, which a start must not take for a shim.
    turn: Mutex<()>,
    table: Mutex<Option<(Instant, Arc<Table>)>>,
}

impl Runs {
    pub(super) fn open(mut settings: PlainSettings) -> Result<Self, RunnerError> {
        let failed = |path: &PathBuf, error: io::Error| {
            RunnerError::Unavailable(format!("jobs cannot be kept in {}: {error}", path.display()))
        };
        settings.directory =
            std::path::absolute(&settings.directory).map_err(|error| failed(&settings.directory, error))?;
        for name in ["runs", "logs"] {
            let path = settings.directory.join(name);
            fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
        }
        let delegation = if settings.cgroups { delegated() } else { Err("they are switched off".to_owned()) };
        let limitations = limitation::of(&delegation);
        for limitation in &limitations {
            tracing::warn!(limit = limitation.limit, "jobs run as plain processes here: {limitation}");
        }
        Ok(Self {
            settings,
            group: delegation.ok().map(|delegation| delegation.runs),
            limitations,
            world: world(),
            changed: Arc::new(Notify::new()),
            turn: Mutex::new(()),
            table: Mutex::new(None),
        })
    }

    /// Begins to watch the runs that are there, and removes what a start that was cut short has left.
    pub(super) fn adopt(&self) -> Result<(), RunnerError> {
        let _turn = self.turn();
        let mut alive = Vec::new();
        for (run, directory) in self.directories()? {
            let lock = directory.try_lock().map_err(|error| failed("adopt", &run, &error))?;
            match lock {
                None => alive.push(directory),
                Some(_) if directory.exists() => {}
                Some(_) => directory.remove().map_err(|error| failed("adopt", &run, &error))?,
            }
        }
        watch::adopted(alive, &self.changed);
        Ok(())
    }

    pub(super) fn limitations(&self) -> &[Limitation] {
        &self.limitations
    }

    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn log_files(&self, run: &RunId) -> Vec<PathBuf> {
        pieces(&self.log_path(run))
    }

    pub(super) fn list(self: &Arc<Self>) -> Result<Vec<Found>, RunnerError> {
        let _turn = self.turn();
        let mut found = Vec::new();
        for (run, directory) in self.directories()?.into_iter().filter(|(_, directory)| directory.exists()) {
            let state = self.look(&directory).map_err(|error| failed("look at", &run, &error))?;
            found.push(Found { run, state });
        }
        Ok(found)
    }

    pub(super) fn start(&self, launch: Launch) -> Result<(), RunnerError> {
        let _turn = self.turn();
        let run = launch.run.clone();
        let directory = self.directory(&run);
        if directory.exists() {
            return Ok(());
        }
        self.spawn(&directory, launch).map_err(|error| {
            let _ = directory.remove();
            failed("start", &run, &error)
        })
    }

    fn spawn(&self, directory: &RunDir, launch: Launch) -> io::Result<()> {
        fs::create_dir_all(directory.path())?;
        let lock = directory.try_lock()?.ok_or_else(|| io::Error::other("another process holds its lock"))?;
        let log = LogSpec {
            path: self.log_path(&launch.run),
            piece_bytes: self.settings.log_piece_bytes,
            old_pieces: self.settings.log_old_pieces,
        };
        let cgroup = self.group.as_ref().map(|group| group.join(file_name(&launch.run)));
        let spec = Spec { launch, shim: self.settings.shim.clone(), cgroup, log };
        let (program, arguments) = spec.shim.split_first().ok_or_else(|| io::Error::other("no shim is configured"))?;
        // What the shim itself has to say stands with the output of its program.
        let words = fs::File::options().create(true).append(true).open(&spec.log.path)?;
        directory.create(&spec)?;
        let child = Command::new(program)
            .args(arguments)
            .arg(SUPERVISE)
            .arg(directory.path())
            .env_clear()
            .envs(environment::inherited())
            .current_dir("/")
            .stdin(lock)
            .stdout(Stdio::piped())
            .stderr(words)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
        watch::child(child, Arc::clone(&self.changed));
        Ok(())
    }

    pub(super) fn stop(self: &Arc<Self>, run: &RunId, why: StopReason) -> Result<(), RunnerError> {
        let _turn = self.turn();
        let directory = self.known(run)?;
        let stopped = (|| match self.look(&directory)? {
            RunState::Ended(_) => Ok(()),
            RunState::Starting | RunState::Running { .. } | RunState::Stopping => {
                directory.set_stop(why)?;
                if let Some(State { world, shim, .. }) = directory.state()? {
                    if world != self.world {
                        return Err(io::Error::other("it runs in another container, or under another daemon's /proc"));
                    }
                    shim.signal(Signal::TERM);
                }
                self.changed.notify_one();
                Ok(())
            }
        })();
        stopped.map_err(|error| failed("stop", run, &error))
    }

    pub(super) fn set_limits(&self, run: &RunId, limits: &Limits) -> Result<(), RunnerError> {
        let directory = self.known(run)?;
        let leaf = directory.spec().map_err(|error| failed("limit", run, &error))?.cgroup.map(Leaf::new);
        let leaf = leaf.filter(|leaf| leaf.as_ref().exists());
        if let Some(leaf) = &leaf {
            leaf.set(limits).map_err(|error| failed("limit", run, &error))?;
        }
        let processes: Vec<_> = self.processes(&directory, &Table::read()).iter().map(|stat| stat.process).collect();
        limits::apply(&processes, limits, |limit| leaf.as_ref().is_some_and(|leaf| leaf.keeps(limit)));
        Ok(())
    }

    pub(super) fn usage(&self, run: &RunId) -> Result<Usage, RunnerError> {
        let directory = self.known(run)?;
        let state = directory.state().map_err(|error| failed("look at", run, &error))?;
        let Some(State { phase: Phase::Starting | Phase::Running { .. }, shim, .. }) = state else {
            return Ok(match state {
                Some(State { phase: Phase::Ended { ending }, .. }) => ending.usage,
                _ => Usage::default(),
            });
        };
        let processes = self.processes(&directory, &self.table());
        let (cpu_ms, memory, tasks) = totals(&processes);
        let waited = Stat::of(shim.pid).filter(|stat| stat.process == shim).map_or(0, |stat| stat.waited_cpu_ms());
        let leaf = directory.spec().ok().and_then(|spec| spec.cgroup).map(|path| Leaf::new(path).usage());
        let Usage { cpu_ms: by_group, memory_peak, memory: charged, tasks: counted, .. } = leaf.unwrap_or_default();
        Ok(Usage {
            cpu_ms: by_group.or(Some(cpu_ms + waited)),
            memory_peak,
            memory: charged.or(Some(memory)),
            tasks: counted.or(Some(tasks)),
            processes: Some(processes.len() as u64),
        })
    }

    pub(super) fn forget(self: &Arc<Self>, run: &RunId) -> Result<(), RunnerError> {
        let _turn = self.turn();
        let Ok(directory) = self.known(run) else { return Ok(()) };
        let forgotten = (|| {
            if let RunState::Ended(_) = self.look(&directory)? {
                if let Some(leaf) = directory.spec().ok().and_then(|spec| spec.cgroup).map(Leaf::new) {
                    // Its shim has removed it, unless that was killed.
                    let _ = leaf.remove();
                }
                directory.remove()?;
                logs::trim(&self.settings.directory, self.settings.logs_of_forgotten)?;
            }
            Ok(())
        })();
        forgotten.map_err(|error| failed("forget", run, &error))
    }

    /// How a run is. One whose shim is gone without a word is put to rest.
    fn look(self: &Arc<Self>, directory: &RunDir) -> io::Result<RunState> {
        let state = directory.state();
        if let Ok(Some(State { phase: Phase::Ended { ending }, .. })) = state {
            return Ok(RunState::Ended(ending));
        }
        if let Some(_lock) = directory.try_lock()? {
            return self.bury(directory);
        }
        // What cannot be read was there, and a power failure has torn it; the other runs must not suffer from that.
        if directory.stop().map_or(true, |reason| reason.is_some()) {
            return Ok(RunState::Stopping);
        }
        Ok(match state.ok().flatten().map(|state| state.phase) {
            Some(Phase::Running { main, since_ms, monotonic_ms: since }) => {
                RunState::Running { since_ms, ran_ms: monotonic_ms().saturating_sub(since), pid: main.pid }
            }
            Some(Phase::Starting | Phase::Ended { .. }) | None => RunState::Starting,
        })
    }

    /// The processes of a run, but for its shim.
    fn processes(&self, directory: &RunDir, table: &Table) -> Vec<Stat> {
        let state = directory.state().ok().flatten().filter(|state| state.world == self.world);
        state
            .filter(|state| state.shim.open().is_some())
            .map_or_else(Vec::new, |state| table.descendants(state.shim.pid))
    }

    fn table(&self) -> Arc<Table> {
        let mut kept = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((at, table)) if at.elapsed() < TABLE_AGE => Arc::clone(table),
            _ => {
                let table = Arc::new(Table::read());
                *kept = Some((Instant::now(), Arc::clone(&table)));
                table
            }
        }
    }

    fn directories(&self) -> Result<Vec<(RunId, RunDir)>, RunnerError> {
        let path = self.settings.directory.join("runs");
        let unreadable = |error| RunnerError::Unavailable(format!("{} cannot be read: {error}", path.display()));
        let mut all = Vec::new();
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if let Some(run) = entry.file_name().to_str().and_then(run_of) {
                all.push((run, RunDir::new(entry.path())));
            }
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(all)
    }

    fn known(&self, run: &RunId) -> Result<RunDir, RunnerError> {
        let directory = self.directory(run);
        if directory.exists() { Ok(directory) } else { Err(RunnerError::Unknown(run.clone())) }
    }

    fn directory(&self, run: &RunId) -> RunDir {
        RunDir::new(self.settings.directory.join("runs").join(file_name(run)))
    }

    fn log_path(&self, run: &RunId) -> PathBuf {
        self.settings.directory.join("logs").join(format!("{}.log", file_name(run)))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(deed: &'static str, run: &RunId, error: &io::Error) -> RunnerError {
    RunnerError::Failed { deed, run: run.clone(), reason: error.to_string() }
}
