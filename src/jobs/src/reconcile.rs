//! What has to be started and stopped here so that what runs is what is wanted. Pure: no clock, no process, no disk.

mod backoff;
mod net;
mod outcome;
mod pace;
mod picture;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use ringrift_job::{ClassName, How, JobId, Kind, RunId};

pub use self::{
    backoff::BackingOff,
    net::Net,
    outcome::{Action, Outcome, Report, Reported},
    picture::{Picture, WantedRun},
    settings::ReconcileSettings,
};
use self::{
    backoff::{Backoffs, Leave},
    pace::Pace,
};
use crate::{RunState, StopReason};

/// Compares what is wanted with what there is.
#[derive(Debug)]
pub struct Reconciler {
    settings: ReconcileSettings,
    pace: Pace,
    backoffs: Backoffs,
    /// Starts that the runner has not shown yet, and when it said that it had done them.
    under_way: BTreeMap<RunId, Option<Instant>>,
    /// Runs that were refused, for as long as they are wanted: the leader may have acted on the refusal already.
    refused: BTreeMap<RunId, String>,
    /// Runs that the node stops of its own accord, and why.
    condemned: BTreeMap<RunId, String>,
    /// Runs that were counted as crashed or as sound.
    judged: BTreeSet<RunId>,
    classes: BTreeMap<RunId, ClassName>,
    spawn_limited: bool,
    runaway: bool,
}

impl Reconciler {
    /// How long a start that succeeded may stay out of the runner's list.
    const LISTED_AFTER: Duration = Duration::from_secs(30);

    /// One that knows nothing yet.
    pub fn new(settings: ReconcileSettings) -> Self {
        Self {
            pace: Pace::new(settings.starts_per_second),
            backoffs: Backoffs::new(&settings),
            settings,
            under_way: BTreeMap::new(),
            refused: BTreeMap::new(),
            condemned: BTreeMap::new(),
            judged: BTreeSet::new(),
            classes: BTreeMap::new(),
            spawn_limited: false,
            runaway: false,
        }
    }

    /// Other numbers, from the next step on.
    pub fn set(&mut self, settings: ReconcileSettings) {
        self.pace.set(settings.starts_per_second);
        self.backoffs.set(&settings);
        self.settings = settings;
    }

    /// What the runner answered to a start; the sentence says why it failed.
    pub fn answer(&mut self, now: Instant, run: &RunId, answer: Result<(), String>) {
        match answer {
            Ok(()) => {
                if let Some(done) = self.under_way.get_mut(run) {
                    *done = Some(now);
                }
            }
            Err(reason) => {
                self.under_way.remove(run);
                if let Some(class) = self.classes.get(run) {
                    self.backoffs.failed(now, class, &reason);
                }
                self.refused.insert(run.clone(), reason);
            }
        }
    }

    /// The classes that wait after failures, and until when.
    pub fn backing_off(&self, now: Instant) -> Vec<BackingOff> {
        self.backoffs.list(now)
    }

    /// Looks, and says what is to be done.
    pub fn step(&mut self, now: Instant, picture: &Picture<'_>) -> Outcome {
        let newest = newest(picture.wanted);
        let wanted: BTreeMap<&RunId, &WantedRun> = newest.iter().map(|wanted| (&wanted.run, *wanted)).collect();
        let found: BTreeMap<&RunId, &RunState> = picture.found.iter().map(|found| (&found.run, &found.state)).collect();
        let mut outcome = Outcome::default();

        self.tidy(now, &wanted, &found);
        self.judge(now, &found);
        self.condemn(picture, &wanted, &found, &mut outcome.nets);
        for (run, state) in &found {
            self.mind(picture, run, state, wanted.get(run).copied(), &mut outcome);
        }
        self.start(now, picture, &newest, &found, &mut outcome);
        outcome.nets.extend(self.backoffs.loops(now));
        outcome
    }

    /// Drops what nobody asks about any more, so that nothing grows.
    fn tidy(&mut self, now: Instant, wanted: &BTreeMap<&RunId, &WantedRun>, found: &BTreeMap<&RunId, &RunState>) {
        self.classes.extend(wanted.iter().map(|(run, wanted)| ((*run).clone(), wanted.class.clone())));
        self.under_way.retain(|run, done| {
            let lost = done.is_some_and(|done| now.saturating_duration_since(done) >= Self::LISTED_AFTER);
            !found.contains_key(run) && !lost
        });
        self.refused.retain(|run, _| wanted.contains_key(run) && !found.contains_key(run));
        self.condemned.retain(|run, _| found.contains_key(run));
        self.judged.retain(|run| found.contains_key(run));
        let under_way = &self.under_way;
        self.classes
            .retain(|run, _| wanted.contains_key(run) || found.contains_key(run) || under_way.contains_key(run));
        self.backoffs.tidy(now);
    }

    /// Counts crashes by class, each run once.
    fn judge(&mut self, now: Instant, found: &BTreeMap<&RunId, &RunState>) {
        let long = u64::try_from(self.settings.crash_after.as_millis()).unwrap_or(u64::MAX);
        for (run, state) in found {
            let Some(class) = self.classes.get(*run) else { continue };
            let crash = match state {
                RunState::Running { ran_ms, .. } if *ran_ms >= long => None,
                RunState::Ended(ending) => match &ending.how {
                    How::Stopped | How::TimedOut => continue,
                    How::NotStarted { .. } => Some(ending.how.to_string()),
                    how if how.is_success() || ending.ran_ms >= long => None,
                    how => Some(how.to_string()),
                },
                RunState::Starting | RunState::Running { .. } | RunState::Stopping => continue,
            };
            if self.judged.insert((*run).clone()) {
                match crash {
                    Some(reason) => self.backoffs.failed(now, class, &reason),
                    None => self.backoffs.sound(class),
                }
            }
        }
    }

    /// Finds the runs that harm the node or waste it.
    fn condemn(
        &mut self,
        picture: &Picture<'_>,
        wanted: &BTreeMap<&RunId, &WantedRun>,
        found: &BTreeMap<&RunId, &RunState>,
        nets: &mut Vec<Net>,
    ) {
        for (run, state) in found {
            if !matches!(state, RunState::Running { .. }) || self.condemned.contains_key(*run) {
                continue;
            }
            let limit = wanted.get(run).and_then(|wanted| wanted.tasks_max);
            let tasks = picture.tasks.get(*run).copied();
            if let (Some(tasks), Some(limit)) = (tasks, limit)
                && tasks > limit
            {
                nets.push(Net::Runaway { run: (*run).clone(), tasks, limit });
                self.condemned
                    .insert((*run).clone(), format!("it had {tasks} processes and threads, and may have {limit}"));
            } else if picture.gpu_idle.contains(*run) {
                nets.push(Net::GpuIdle { run: (*run).clone() });
                self.condemned.insert((*run).clone(), "its GPU was idle for too long".to_owned());
            }
        }
        let total: u64 = picture.processes.iter().filter(|(run, _)| run.kind == Kind::Selfplay).map(|(_, n)| *n).sum();
        let runaway = total > self.settings.runaway_threshold;
        if runaway && !self.runaway {
            nets.push(Net::TooManyProcesses { processes: total, threshold: self.settings.runaway_threshold });
        }
        self.runaway = runaway;
    }

    /// Minds one run that is there.
    fn mind(
        &self,
        picture: &Picture<'_>,
        run: &RunId,
        state: &RunState,
        wanted: Option<&WantedRun>,
        outcome: &mut Outcome,
    ) {
        let Some(wanted) = wanted else {
            match state {
                _ if !picture.wanted_is_current => {
                    if self.condemned.contains_key(run) && !matches!(state, RunState::Ended(_) | RunState::Stopping) {
                        outcome.actions.push(Action::Stop(run.clone(), StopReason::Unwanted));
                    }
                }
                RunState::Ended(_) => outcome.actions.push(Action::Forget(run.clone())),
                RunState::Stopping => {}
                RunState::Starting | RunState::Running { .. } => {
                    outcome.actions.push(Action::Stop(run.clone(), StopReason::Unwanted));
                }
            }
            return;
        };
        match state {
            RunState::Starting | RunState::Stopping => {}
            RunState::Running { since_ms, ran_ms, .. } => {
                let what = Reported::Started { since_ms: *since_ms };
                outcome.reports.push(Report { run: run.clone(), what });
                let over = wanted.deadline.is_some_and(|deadline| Duration::from_millis(*ran_ms) >= deadline);
                if over {
                    outcome.actions.push(Action::Stop(run.clone(), StopReason::Deadline));
                } else if self.condemned.contains_key(run) {
                    outcome.actions.push(Action::Stop(run.clone(), StopReason::Unwanted));
                }
            }
            RunState::Ended(ending) => {
                let cause = self.condemned.get(run).filter(|_| ending.how == How::Stopped).cloned();
                let what = Reported::Ended { ending: ending.clone(), cause };
                outcome.reports.push(Report { run: run.clone(), what });
            }
        }
    }

    /// Starts what is wanted and not there, as fast as the node allows.
    fn start(
        &mut self,
        now: Instant,
        picture: &Picture<'_>,
        newest: &[&WantedRun],
        found: &BTreeMap<&RunId, &RunState>,
        outcome: &mut Outcome,
    ) {
        let busy = |run: &RunId| found.get(run).is_some_and(|state| !matches!(state, RunState::Ended(_)));
        let mut occupied: BTreeSet<&JobId> = found.keys().filter(|run| busy(run)).map(|run| &run.job).collect();
        let under_way: Vec<RunId> = self.under_way.keys().cloned().collect();
        occupied.extend(under_way.iter().map(|run| &run.job));
        let starting = found.values().filter(|state| matches!(state, RunState::Starting)).count();
        let mut in_flight = starting + under_way.len();
        let there = found.keys().filter(|run| busy(run)).count() + under_way.len();
        let mut room = picture.held.saturating_sub(there);
        let mut young = self.young(found);
        let mut limited = 0;
        for wanted in newest {
            let run = &wanted.run;
            if found.contains_key(run) {
                continue;
            }
            let refusal = match self.refused.get(run) {
                Some(reason) => Some(reason.clone()),
                None if !picture.wanted_is_current || occupied.contains(&run.job) => continue,
                None => {
                    match (picture.closed, self.backoffs.leave(now, &wanted.class, young.contains(&wanted.class))) {
                        (Some(reason), _) => Some(reason.to_owned()),
                        (None, _) if self.runaway && run.kind == Kind::Selfplay => Some(format!(
                            "self-play here has more than {} processes already",
                            self.settings.runaway_threshold
                        )),
                        (None, Leave::Never(reason)) => Some(reason),
                        (None, Leave::Later) => continue,
                        (None, Leave::Now) => None,
                    }
                }
            };
            if let Some(reason) = refusal {
                self.refused.insert(run.clone(), reason.clone());
                outcome.reports.push(Report { run: run.clone(), what: Reported::Refused { reason } });
            } else if room == 0 {
                // What has its memory and its GPU is on its way out.
            } else if in_flight >= self.settings.starts_in_flight || !self.pace.take(now) {
                limited += 1;
            } else {
                in_flight += 1;
                room -= 1;
                occupied.insert(&run.job);
                young.insert(wanted.class.clone());
                self.under_way.insert(run.clone(), None);
                outcome.actions.push(Action::Start(run.clone()));
            }
        }
        if limited > 0 && !self.spawn_limited {
            outcome.nets.push(Net::SpawnLimited { waiting: limited });
        }
        self.spawn_limited = limited > 0;
    }

    /// The classes that have a run of which nobody knows yet whether it crashes.
    fn young(&self, found: &BTreeMap<&RunId, &RunState>) -> BTreeSet<ClassName> {
        let undecided = found.iter().filter(|(run, state)| {
            matches!(state, RunState::Starting | RunState::Running { .. }) && !self.judged.contains(**run)
        });
        undecided
            .map(|(run, _)| *run)
            .chain(self.under_way.keys())
            .filter_map(|run| self.classes.get(run).cloned())
            .collect()
    }
}

/// The newest attempt of each job, in the order given.
fn newest(wanted: &[WantedRun]) -> Vec<&WantedRun> {
    let mut attempts: BTreeMap<&JobId, &RunId> = BTreeMap::new();
    for WantedRun { run, .. } in wanted {
        let newest = attempts.entry(&run.job).or_insert(run);
        if newest.attempt < run.attempt {
            *newest = run;
        }
    }
    let mut seen = BTreeSet::new();
    wanted
        .iter()
        .filter(|wanted| attempts.get(&wanted.run.job) == Some(&&wanted.run) && seen.insert(&wanted.run))
        .collect()
}
