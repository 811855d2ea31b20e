use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ringrift_job::ClassName;

use super::{Net, ReconcileSettings};

/// A class that pauses after failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackingOff {
    /// Which.
    pub class: ClassName,
    /// For how long still.
    pub left: Duration,
    /// How often in a row its runs failed soon after their start, or did not start.
    pub failures: u32,
    /// The last failure, as a sentence.
    pub reason: String,
}

/// Whether a run of a class may start.
pub(super) enum Leave {
    Now,
    Later,
    /// Not here; why.
    Never(String),
}

#[derive(Debug)]
struct Backoff {
    failures: u32,
    until: Instant,
    pause: Duration,
    reason: String,
    told: bool,
}

/// Crashes in a row, by class.
#[derive(Debug)]
pub(super) struct Backoffs {
    first: Duration,
    longest: Duration,
    crash_loop: u32,
    by_class: BTreeMap<ClassName, Backoff>,
}

impl Backoffs {
    /// A class that nobody has tried for so long begins anew.
    const FORGIVEN_AFTER: Duration = Duration::from_hours(1);

    pub(super) fn new(settings: &ReconcileSettings) -> Self {
        let mut backoffs =
            Self { first: Duration::ZERO, longest: Duration::ZERO, crash_loop: 0, by_class: BTreeMap::new() };
        backoffs.set(settings);
        backoffs
    }

    pub(super) fn set(&mut self, settings: &ReconcileSettings) {
        self.first = settings.backoff_first;
        self.longest = settings.backoff_longest;
        self.crash_loop = settings.crash_loop.max(1);
    }

    /// A run failed soon after its start. Those that were started together fail together: during a pause they count as one.
    pub(super) fn failed(&mut self, now: Instant, class: &ClassName, reason: &str) {
        let failures = match self.by_class.get(class) {
            Some(backoff) if now < backoff.until => return,
            Some(backoff) => backoff.failures.saturating_add(1),
            None => 1,
        };
        let pause = self.first.saturating_mul(1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX)).min(self.longest);
        let told = failures < self.crash_loop;
        let backoff = Backoff { failures, until: now + pause, pause, reason: reason.to_owned(), told };
        self.by_class.insert(class.clone(), backoff);
    }

    /// A run of the class succeeded, or ran for long enough.
    pub(super) fn sound(&mut self, class: &ClassName) {
        self.by_class.remove(class);
    }

    /// Whether a run may start, when another one is `undecided`: after a failure one at a time tries whether it is over.
    pub(super) fn leave(&self, now: Instant, class: &ClassName, undecided: bool) -> Leave {
        match self.by_class.get(class) {
            None => Leave::Now,
            Some(backoff) if now >= backoff.until => {
                if undecided {
                    Leave::Later
                } else {
                    Leave::Now
                }
            }
            Some(backoff) if backoff.failures >= self.crash_loop => Leave::Never(format!(
                "{class} failed {} times in a row here and pauses; last: {}",
                backoff.failures, backoff.reason
            )),
            Some(_) => Leave::Later,
        }
    }

    pub(super) fn list(&self, now: Instant) -> Vec<BackingOff> {
        let waiting = self.by_class.iter().filter(|(_, backoff)| backoff.until > now);
        let shown = waiting.map(|(class, backoff)| BackingOff {
            class: class.clone(),
            left: backoff.until.saturating_duration_since(now),
            failures: backoff.failures,
            reason: backoff.reason.clone(),
        });
        shown.collect()
    }

    /// The crash loops that nobody was told of.
    pub(super) fn loops(&mut self, now: Instant) -> Vec<Net> {
        let untold = self.by_class.iter_mut().filter(|(_, backoff)| !backoff.told && backoff.until > now);
        let nets = untold.map(|(class, backoff)| {
            backoff.told = true;
            let (failures, pause, reason) = (backoff.failures, backoff.pause, backoff.reason.clone());
            Net::CrashLoop { class: class.clone(), failures, pause, reason }
        });
        nets.collect()
    }

    pub(super) fn tidy(&mut self, now: Instant) {
        self.by_class.retain(|_, backoff| now.saturating_duration_since(backoff.until) < Self::FORGIVEN_AFTER);
    }
}
