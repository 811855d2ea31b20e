//! Waits for shims, so that whoever asks learns of a change at once.

use std::{os::fd::OwnedFd, sync::Arc, thread, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::{io::AsyncReadExt as _, process::Child, sync::Notify};

use super::{
    manifest::{Phase, RunDir},
    process::world,
};

/// How often a shim is looked at whose program does not run yet.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How long one waits before one tries again what the machine has no room for.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits for a shim that this daemon has started: it closes its output when the program runs, and is reaped when it ends.
pub(super) fn child(mut child: Child, changed: Arc<Notify>) {
    tokio::spawn(async move {
        if let Some(mut output) = child.stdout.take() {
            let _ = output.read_to_end(&mut Vec::new()).await;
            changed.notify_one();
        }
        let _ = child.wait().await;
        changed.notify_one();
    });
}

/// Waits for shims that another daemon has started, in a thread of its own: tokio reaps children, and these are none of ours.
pub(super) fn adopted(runs: Vec<RunDir>, changed: &Arc<Notify>) {
    if runs.is_empty() {
        return;
    }
    let watched = thread::Builder::new().name("adopted-jobs".to_owned()).spawn({
        let changed = Arc::clone(changed);
        move || follow(runs, &changed)
    });
    if let Err(error) = watched {
        tracing::warn!(%error, "adopted jobs are not watched; their endings are seen when somebody looks");
    }
    changed.notify_one();
}

/// A shim, as far as it has said who it is.
struct Shim {
    run: RunDir,
    process: Option<OwnedFd>,
    /// Whether its program runs.
    settled: bool,
}

fn follow(runs: Vec<RunDir>, changed: &Notify) {
    let world = world();
    let mut shims: Vec<Shim> = runs.into_iter().map(|run| Shim { run, process: None, settled: false }).collect();
    while !shims.is_empty() {
        let mut any = false;
        shims.retain_mut(|shim| {
            let (kept, told) = shim.look(&world);
            any |= told;
            kept
        });
        if any {
            changed.notify_one();
        }
        let processes: Vec<&OwnedFd> = shims.iter().filter_map(|shim| shim.process.as_ref()).collect();
        let mut waiting: Vec<PollFd<'_>> = processes.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let timeout = shims.iter().any(|shim| !shim.settled).then_some(&LOOK_AGAIN);
        match poll(&mut waiting, timeout) {
            Ok(0) | Err(Errno::INTR) => {}
            // Whoever lists the runs may hold the lock of one that has ended, for a moment.
            Ok(_) => thread::sleep(Duration::from_millis(1)),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

impl Shim {
    /// Whether it is still to be waited for, and whether its run has changed its state.
    fn look(&mut self, world: &str) -> (bool, bool) {
        // The lock tells for sure: a shim of another container has a number that means nothing here.
        if !matches!(self.run.try_lock(), Ok(None)) {
            return (false, true);
        }
        if self.settled {
            return (true, false);
        }
        let state = self.run.state().ok().flatten().filter(|state| state.world == world);
        let Some(state) = state else { return (true, false) };
        self.process = state.shim.open();
        self.settled = self.process.is_some() && state.phase != Phase::Starting;
        (true, self.settled)
    }
}
