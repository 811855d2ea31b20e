//! By which class each run here was started, and the limits that it has. A reload changes what is started from then on, and
//! leaves alone what runs.

use std::{collections::BTreeMap, sync::Arc};

use ringrift_config::Settings;
use ringrift_job::{Class, Limits, RunId};
use ringrift_jobs::Found;
use ringrift_state::Job;

/// What is known of each run.
#[derive(Debug, Default)]
pub(super) struct Terms(BTreeMap<RunId, Term>);

#[derive(Debug)]
struct Term {
    class: Arc<Class>,
    /// As they were set last. After a restart of the daemon nobody knows: they are set once more.
    limits: Option<Limits>,
}

impl Terms {
    /// The class that the job's run has here: the one by which it was started, or would be.
    pub(super) fn class(&self, job: &Job, settings: &Settings) -> Option<Arc<Class>> {
        let known = job.run().and_then(|run| self.0.get(&run)).map(|term| term.class.clone());
        known.or_else(|| settings.job_classes.get(job.class.as_str()).cloned())
    }

    /// The run is started with these.
    pub(super) fn begin(&mut self, run: &RunId, class: Arc<Class>, limits: Limits) {
        self.0.insert(run.clone(), Term { class, limits: Some(limits) });
    }

    /// Takes in the runs that were there before this daemon, and drops those that are gone and that nobody wants.
    pub(super) fn look(&mut self, wanted: &[&Arc<Job>], found: &[Found], settings: &Settings) {
        let runs: BTreeMap<RunId, &Job> = wanted.iter().filter_map(|job| Some((job.run()?, &***job))).collect();
        self.0.retain(|run, _| runs.contains_key(run) || found.iter().any(|found| found.run == *run));
        for run in found.iter().map(|found| &found.run).filter(|run| !self.0.contains_key(run)).collect::<Vec<_>>() {
            let class = runs.get(run).and_then(|job| settings.job_classes.get(job.class.as_str()));
            if let Some(class) = class {
                self.0.insert(run.clone(), Term { class: class.clone(), limits: None });
            }
        }
    }

    /// The limits that the job's run should have, if they are others than it has.
    pub(super) fn wants(&self, job: &Job) -> Option<(RunId, Limits)> {
        let run = job.run()?;
        let term = self.0.get(&run)?;
        let limits = job.limits.or(&term.class.limits);
        (term.limits.as_ref() != Some(&limits)).then_some((run, limits))
    }

    /// They were set.
    pub(super) fn limited(&mut self, run: &RunId, limits: Limits) {
        if let Some(term) = self.0.get_mut(run) {
            term.limits = Some(limits);
        }
    }

    /// The limits that the run has, as far as is known.
    pub(super) fn limits(&self, run: &RunId) -> Option<&Limits> {
        self.0.get(run)?.limits.as_ref()
    }
}
