use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Driver, Library, Report, State, Trouble,
    watch::{Look, Next, Watch},
};

/// How often the driver is asked, and how much patience it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Time between two looks while all is well.
    pub every: Duration,
    /// A call that takes longer is called hung.
    pub patience: Duration,
    /// The same for opening and closing the driver. On an eight-GPU server without persistence mode that takes several
    /// seconds by itself.
    pub open_patience: Duration,
    /// The longest time between two attempts to open a driver that is not there.
    pub longest_wait: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            patience: Duration::from_secs(10),
            open_patience: Duration::from_secs(30),
            longest_wait: Duration::from_mins(5),
        }
    }
}

impl Timing {
    /// How long to wait after this many failures before.
    pub(crate) fn back_off(&self, failures: u32) -> Duration {
        self.every.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest_wait)
    }
}

/// Looks at the GPUs of this machine, in a thread of its own. Clones are handles to the same one; the thread ends after the
/// last of them, unless it is stuck in the driver.
///
/// No watchdog should watch it: a program that is started anew meets the same hung driver.
#[derive(Debug, Clone)]
pub struct Sampler {
    shared: Arc<Shared>,
    /// The thread waits on the other end between two looks.
    _until: mpsc::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    timing: Timing,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    report: Arc<Report>,
    /// When the call that is under way began, and how long it may take.
    calling: Option<(Instant, Duration)>,
}

impl Sampler {
    /// Looks through `library` until the last handle is dropped.
    pub fn start(library: impl Library + 'static, timing: Timing) -> Self {
        let (until, ended) = mpsc::channel();
        let shared = Arc::new(Shared { timing, seen: Mutex::default() });
        let looking = shared.clone();
        let thread = thread::Builder::new().name("gpu".into()).spawn(move || run(library, timing, &looking, &ended));
        if let Err(error) = thread {
            let sentence = format!("the GPUs are not looked at: no thread can be started: {error}");
            shared.seen().report = Arc::new(Report { state: State::Failed, sentence, ..Report::default() });
        }
        Self { shared, _until: until }
    }

    /// A sampler that never looks.
    pub fn off() -> Self {
        let seen = Seen { report: Arc::new(Report::off()), calling: None };
        let shared = Arc::new(Shared { timing: Timing::default(), seen: Mutex::new(seen) });
        Self { shared, _until: mpsc::channel().0 }
    }

    /// What is known now. It never waits for the driver: the lock is held for a copy only.
    pub fn latest(&self) -> Arc<Report> {
        let (report, calling) = {
            let seen = self.shared.seen();
            (seen.report.clone(), seen.calling)
        };
        match calling.map(|(since, patience)| (since.elapsed(), patience)) {
            Some((taken, patience)) if taken > patience => Arc::new(report.hung(taken)),
            Some(_) | None => report,
        }
    }
}

impl Shared {
    /// A call to the driver begins.
    fn call(&self, patience: Duration) {
        self.seen().calling = Some((Instant::now(), patience));
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(mut library: impl Library, timing: Timing, shared: &Shared, ended: &mpsc::Receiver<()>) {
    let mut watch = Watch::new(timing);
    let wait = |time| matches!(ended.recv_timeout(time), Err(mpsc::RecvTimeoutError::Timeout));
    loop {
        let mut next = Some(Next::Reopen(Duration::ZERO));
        let mut take = |look| {
            let next = watch.step(Instant::now(), look);
            let mut seen = shared.seen();
            seen.calling = None;
            seen.report = Arc::new(watch.report().clone());
            next
        };
        shared.call(timing.open_patience);
        let opened = library.open(&mut |driver| {
            next = loop {
                match take(look(driver, shared)) {
                    Next::Again(time) if wait(time) => {}
                    Next::Again(_) => break None,
                    reopen @ Next::Reopen(_) => break Some(reopen),
                }
            };
            // Closing is a call as well.
            shared.call(timing.open_patience);
        });
        if let Err(trouble) = opened {
            next = Some(take(Err(trouble)));
        }
        shared.seen().calling = None;
        match next {
            Some(Next::Again(time) | Next::Reopen(time)) if wait(time) => {}
            Some(_) | None => return,
        }
    }
}

/// Asks for everything once.
fn look(driver: &mut dyn Driver, shared: &Shared) -> Result<Look, Trouble> {
    let call = || shared.call(shared.timing.patience);
    call();
    let versions = driver.versions();
    call();
    let count = driver.count()?;
    let mut gpus = Vec::new();
    let mut forbidden = false;
    for index in 0..count.min(Report::MAX_GPUS) {
        call();
        match driver.gpu(index) {
            Err(trouble @ (Trouble::Unloaded | Trouble::NotLoaded)) => return Err(trouble),
            // Counted, and given to another container.
            Err(Trouble::NoPermission) => forbidden = true,
            outcome => gpus.push((index, outcome)),
        }
    }
    if gpus.is_empty() && forbidden { Err(Trouble::NoPermission) } else { Ok(Look { versions, gpus }) }
}

#[cfg(test)]
mod tests;
