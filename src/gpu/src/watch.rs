//! What follows from a look at the driver: what is shown, and when to look again. Pure.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::{Gpu, Reading, Report, State, Timing, Trouble, Versions, Xid};

/// What a look brought: the driver's versions, and for each GPU that this process may use a reading or its trouble.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) versions: Versions,
    pub(crate) gpus: Vec<(u32, Result<Reading, Trouble>)>,
}

/// What to do after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the same opened driver again after this time.
    Again(Duration),
    /// Close it, and open it after this time.
    Reopen(Duration),
}

/// Remembers what a report depends on besides the last look.
#[derive(Debug)]
pub(crate) struct Watch {
    timing: Timing,
    report: Report,
    xids: BTreeMap<String, Xid>,
    has_worked: bool,
    /// Openings without success, or with a GPU that stayed in trouble, one after the other.
    failures: u32,
    reopen_at: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(timing: Timing) -> Self {
        Self {
            timing,
            report: Report::default(),
            xids: BTreeMap::new(),
            has_worked: false,
            failures: 0,
            reopen_at: None,
        }
    }

    /// What is shown after the last look.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// Takes in what a look brought.
    pub(crate) fn step(&mut self, now: Instant, look: Result<Look, Trouble>) -> Next {
        match look {
            Ok(look) if look.gpus.is_empty() => self.failed(&Trouble::NoGpu),
            Ok(look) => self.worked(now, look),
            Err(trouble) => self.failed(&trouble),
        }
    }

    fn worked(&mut self, now: Instant, look: Look) -> Next {
        self.has_worked = true;
        let mut gpus: Vec<Gpu> = Vec::with_capacity(look.gpus.len());
        for (index, outcome) in look.gpus {
            gpus.push(match outcome {
                Ok(reading) => self.well(now, index, reading),
                Err(trouble) => self.ill(index, trouble),
            });
        }
        let ill: Vec<String> =
            gpus.iter().filter_map(|gpu| Some(format!("GPU {}: {}", gpu.index, gpu.trouble.as_ref()?))).collect();
        self.report = Report { state: State::Working, sentence: ill.join("; "), versions: look.versions, gpus };
        if ill.is_empty() {
            (self.failures, self.reopen_at) = (0, None);
            return Next::Again(self.timing.every);
        }
        // The others are looked at as before. A lost GPU comes back, if it does, to a driver that is opened anew.
        let at = *self.reopen_at.get_or_insert(now + self.timing.back_off(self.failures));
        if now < at {
            return Next::Again(self.timing.every);
        }
        self.reopen_at = None;
        self.failures = self.failures.saturating_add(1);
        Next::Reopen(Duration::ZERO)
    }

    fn well(&mut self, now: Instant, index: u32, reading: Reading) -> Gpu {
        if let Some(code) = reading.xids.last() {
            let xid = self.xids.entry(reading.uuid.clone()).or_insert(Xid { code: *code, count: 0, at: now });
            *xid = Xid { code: *code, count: xid.count + reading.xids.len() as u64, at: now };
        }
        let xid = self.xids.get(&reading.uuid).copied();
        Gpu { xid, ..Gpu::of(index, reading) }
    }

    fn ill(&self, index: u32, trouble: Trouble) -> Gpu {
        let before = self.report.gpus.iter().find(|gpu| gpu.index == index);
        let known = before.map_or_else(|| Gpu::unread(index), Gpu::without_figures);
        Gpu { trouble: Some(trouble), ..known }
    }

    fn failed(&mut self, trouble: &Trouble) -> Next {
        let state = match trouble {
            // Whatever has become of it: it was here, and jobs were given to it.
            Trouble::NoLibrary(_) | Trouble::NotLoaded | Trouble::NoGpu | Trouble::Unloaded | Trouble::Lost
                if self.has_worked =>
            {
                State::Vanished
            }
            Trouble::NoLibrary(_) => State::NoLibrary,
            Trouble::NotLoaded | Trouble::Unloaded => State::NoDriver,
            Trouble::NoGpu => State::NoGpu,
            Trouble::NoPermission => State::NoPermission,
            Trouble::Mismatch | Trouble::Lost | Trouble::ResetRequired | Trouble::Other(_) => State::Failed,
        };
        let sentence = match state {
            State::Vanished => format!("the GPUs of this machine have vanished: {trouble}"),
            _ => trouble.to_string(),
        };
        let gpus = self.report.gpus.iter().map(Gpu::without_figures).collect();
        self.report = Report { state, sentence, gpus, versions: std::mem::take(&mut self.report.versions) };
        self.reopen_at = None;
        let wait = self.timing.back_off(self.failures);
        self.failures = self.failures.saturating_add(1);
        Next::Reopen(wait)
    }
}

#[cfg(test)]
mod tests;
