use std::{io, process, sync::Arc, time::Duration};

use ringrift_job::{Ending, How, Usage};
use rustix::process::Signal;

use super::Runs;
use crate::{
    RunState,
    plain::{
        MARK,
        cgroup::Leaf,
        manifest::{Phase, RunDir, State, monotonic_ms},
        process::{Process, Table},
    },
};

/// How soon one looks again whether what was killed is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl Runs {
    /// Puts a run to rest whose shim is gone; the caller holds its lock. Nobody would stop what is left of it, and nobody would see
    /// it end, so that is killed.
    pub(super) fn bury(self: &Arc<Self>, directory: &RunDir) -> io::Result<RunState> {
        // It may have ended as it should, just before the lock was free.
        let state = directory.state();
        if let Ok(Some(State { phase: Phase::Ended { ending }, .. })) = state {
            return Ok(RunState::Ended(ending));
        }
        let state = state.ok().flatten();
        if self.kill_rest(directory, state.as_ref()) {
            let changed = Arc::clone(&self.changed);
            tokio::spawn(async move {
                tokio::time::sleep(LOOK_AGAIN).await;
                changed.notify_one();
            });
            return Ok(RunState::Stopping);
        }
        let here = state.as_ref().filter(|state| state.world == self.world);
        let (how, ran_ms) = match here.map(|state| &state.phase) {
            Some(Phase::Running { monotonic_ms: since, .. }) => (How::Vanished, monotonic_ms().saturating_sub(*since)),
            _ if state.is_some() => (How::Vanished, 0),
            _ => (How::NotStarted { reason: "its shim ended before it could start the program".to_owned() }, 0),
        };
        let ending = Ending { how, ran_ms, usage: Usage::default() };
        let shim = state.map_or(Process { pid: process::id(), start: 0 }, |state| state.shim);
        let phase = Phase::Ended { ending: ending.clone() };
        directory.set_state(&State { world: self.world.clone(), shim, phase })?;
        Ok(RunState::Ended(ending))
    }

    /// Kills what is left of a run. Says whether there was anything.
    fn kill_rest(&self, directory: &RunDir, state: Option<&State>) -> bool {
        let mut any = false;
        if let Some(leaf) = directory.spec().ok().and_then(|spec| spec.cgroup).map(Leaf::new)
            && leaf.is_populated()
        {
            leaf.kill();
            any = true;
        }
        if state.is_some_and(|state| state.world == self.world) {
            for process in Table::read().alive().filter(|process| process.has_variable(MARK, directory.path())) {
                process.signal(Signal::KILL);
                any = true;
            }
        }
        any
    }
}
