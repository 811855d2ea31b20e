//! The loop that brings what runs here to what is agreed to run here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::{Host, Settings};
use ringrift_gpu::GpuIdle;
use ringrift_health::{Admission, Thresholds, Verdict};
use ringrift_job::{Kind, RunId};
use ringrift_jobs::{
    Action, Found, Picture, ReconcileSettings, Reconciler, RunState, Runner, RunnerError, WantedRun, report,
};
use ringrift_state::Job;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    JobFacts, Jobs, Local, launch, local,
    meter::Meter,
    place::{Ground, Standing},
    tell::Teller,
    terms::Terms,
};
use crate::{agreement::LEADER_FORGOTTEN, http::server::Watched, node::Shared};

/// How often what runs is looked at when nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether the machine can run jobs at all.
const CHECK_EVERY: Duration = Duration::from_secs(30);

/// Runs on every node until `shutdown`. What it started runs on.
pub(crate) async fn run(shared: Shared, jobs: Jobs, watched: Watched, shutdown: CancellationToken) {
    let mut keeper = Keeper::new(&shared, jobs);
    let mut agreed = shared.changes();
    let mut tick = ringrift_tick::every(LOOK_EVERY);
    loop {
        watched.hang.point(watched.name).await;
        watched.heartbeat.beat();
        let runs_changed = async {
            match &keeper.runner {
                Some(runner) => runner.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
            _ = agreed.changed() => {}
            () = keeper.jobs.look.notified() => {}
            () = runs_changed => {}
        }
        let looking = keeper.look(&shared);
        tokio::pin!(looking);
        // A bus or a disk that takes long is waited for, and that is shown.
        loop {
            tokio::select! {
                () = &mut looking => break,
                () = tokio::time::sleep(Duration::from_secs(1)) => watched.heartbeat.beat(),
                () = shutdown.cancelled() => return,
            }
        }
    }
}

struct Keeper {
    jobs: Jobs,
    /// By which it keeps; replaced at the look after a reload.
    settings: Arc<Settings>,
    runner: Option<Arc<dyn Runner>>,
    reconciler: Reconciler,
    admission: Admission,
    /// Whether its last word was no, so that it is told once.
    full: bool,
    gpu_idle: GpuIdle<RunId>,
    standing: Standing,
    /// Why no job can run here at all.
    unfit: Option<String>,
    checked: Option<Instant>,
    meter: Meter,
    terms: Terms,
    nets: BTreeMap<&'static str, u64>,
    teller: Teller,
    trouble: Option<String>,
}

impl Keeper {
    fn new(shared: &Shared, jobs: Jobs) -> Self {
        let settings = shared.settings();
        Self {
            runner: jobs.machine.runner(),
            jobs,
            reconciler: Reconciler::new(reconcile_settings(&settings)),
            admission: Admission::new(thresholds(&settings)),
            full: false,
            gpu_idle: GpuIdle::new(*settings.limits.gpu_idle),
            settings,
            standing: Standing::default(),
            unfit: None,
            checked: None,
            meter: Meter::default(),
            terms: Terms::default(),
            nets: BTreeMap::new(),
            teller: Teller::default(),
            trouble: None,
        }
    }

    /// Goes on by the settings in force.
    fn take(&mut self, settings: Arc<Settings>) {
        if Arc::ptr_eq(&self.settings, &settings) {
            return;
        }
        self.reconciler.set(reconcile_settings(&settings));
        self.admission.set(thresholds(&settings));
        self.gpu_idle.set(*settings.limits.gpu_idle);
        self.settings = settings;
    }

    /// One look, and what it leads to.
    async fn look(&mut self, shared: &Shared) {
        self.take(shared.settings());
        let host = shared.hosts().and_then(|hosts| hosts.hosts.get(shared.node()).cloned());
        self.standing.look(&self.settings, host.as_ref()).await;
        if self.checked.is_none_or(|at| at.elapsed() >= CHECK_EVERY) {
            self.unfit = self.jobs.machine.trouble().await;
            self.checked = Some(Instant::now());
        }
        let found = match &self.runner {
            None => Vec::new(),
            Some(runner) => match runner.list().await {
                Ok(found) => {
                    self.trouble = None;
                    found
                }
                Err(error) => return self.note_trouble(&error),
            },
        };
        if let Some(runner) = &self.runner {
            self.meter.look(&**runner, &found).await;
        }
        let agreed = shared.agreement.agreed();
        let held: Vec<Arc<Job>> = agreed.state.jobs.held_by(shared.node()).cloned().collect();
        let mut wanted: Vec<&Arc<Job>> = held.iter().filter(|job| job.is_wanted()).collect();
        wanted.sort_by_key(|job| job.queue_order());
        self.terms.look(&wanted, &found, &self.settings);
        let run = |job: &&Arc<Job>| WantedRun::of(job, self.terms.class(job, &self.settings).as_deref());
        let runs: Vec<WantedRun> = wanted.iter().filter_map(run).collect();
        let is_current = shared.agreement.leadership().stale.is_some_and(|stale| stale < LEADER_FORGOTTEN);
        let refuses = self.refuses(shared);
        let (tasks, processes) = (self.meter.counted(|used| used.tasks), self.meter.counted(|used| used.processes));
        let idle = self.idle(shared, &held, &found);
        let picture = Picture {
            wanted: &runs,
            wanted_is_current: is_current,
            held: held.len(),
            found: &found,
            tasks: &tasks,
            processes: &processes,
            gpu_idle: &idle,
            closed: self.unfit.as_deref(),
        };
        let outcome = self.reconciler.step(Instant::now(), &picture);
        for net in &outcome.nets {
            self.note_net(net.name(), &net.to_string());
        }
        for action in outcome.actions {
            self.act(shared, &wanted, action).await;
        }
        self.limit(&wanted, &found).await;
        let reports = report::due(shared.node(), &agreed.state.jobs, outcome.reports, &found);
        self.teller.tell(shared, &self.jobs, reports).await;
        self.show(shared, host.as_ref(), &held, &found, refuses);
    }

    /// Runs whose GPU has been idle for too long.
    fn idle(&mut self, shared: &Shared, held: &[Arc<Job>], found: &[Found]) -> BTreeSet<RunId> {
        let report = shared.gpus.latest();
        if report.gpus.is_empty() {
            return BTreeSet::new();
        }
        let percents = report.gpus.iter().map(|gpu| (gpu.uuid.clone(), gpu.percent)).collect();
        let mut runs = BTreeMap::new();
        for job in held {
            let (Some(run), Some(assignment)) = (job.run(), job.assignment()) else { continue };
            if found.iter().any(|found| found.run == run && matches!(found.state, RunState::Running { .. })) {
                let its = report.gpus.iter().filter(|gpu| assignment.gpus.contains(&gpu.index));
                runs.extend(its.map(|gpu| (gpu.uuid.clone(), run.clone())));
            }
        }
        self.gpu_idle.step(Instant::now(), &percents, &runs).into_iter().map(|idle| idle.job).collect()
    }

    /// Why no job is taken now.
    fn refuses(&mut self, shared: &Shared) -> Vec<String> {
        let mut refuses: Vec<String> = self.unfit.iter().chain(&self.trouble).cloned().collect();
        let resources = shared.sampler.latest();
        let full = match self.admission.step(&resources) {
            Verdict::Refuse { reason } => Some(reason),
            Verdict::Admit => None,
        };
        // A load that nobody has measured yet is no full host.
        let is = full.is_some() && resources.cpu_count > 0;
        let was = std::mem::replace(&mut self.full, is);
        if let Some(reason) = full {
            if is && !was {
                self.note_net("full", &reason);
            }
            refuses.push(reason);
        }
        refuses
    }

    fn note_trouble(&mut self, error: &RunnerError) {
        let error = error.to_string();
        if self.trouble.as_ref() != Some(&error) {
            error!("what runs on this node cannot be seen: {error}");
        }
        let refuses = vec![error.clone()];
        self.jobs.local.store(Arc::new(Local {
            refuses,
            trouble: Some(error.clone()),
            ..(*self.jobs.local()).clone()
        }));
        self.jobs.facts.store(Arc::new(JobFacts { refuses: error.clone(), ..(*self.jobs.facts()).clone() }));
        self.trouble = Some(error);
    }

    fn note_net(&mut self, net: &'static str, message: &str) {
        warn!(net, "{message}");
        *self.nets.entry(net).or_default() += 1;
        self.teller.note(net, message);
    }

    async fn act(&mut self, shared: &Shared, wanted: &[&Arc<Job>], action: Action) {
        let Some(runner) = self.runner.clone() else { return };
        let done = match &action {
            Action::Start(run) => {
                let job = wanted.iter().find(|job| job.run().as_ref() == Some(run));
                let launch = job.ok_or_else(|| "nobody wants it".to_owned());
                let launch = launch.and_then(|job| launch::launch(job, &self.settings, &self.standing.ground().place));
                let answer = match launch {
                    Ok((class, launch)) => {
                        info!(job = %run.job, attempt = run.attempt, class = %launch.class, "starts {run}");
                        self.terms.begin(run, class, launch.limits.clone());
                        runner.start(&launch).await.map_err(|error| error.to_string())
                    }
                    Err(reason) => Err(reason),
                };
                if let Err(reason) = &answer {
                    warn!(job = %run.job, attempt = run.attempt, "{run} cannot start here: {reason}");
                }
                self.reconciler.answer(Instant::now(), run, answer);
                Ok(())
            }
            Action::Stop(run, why) => {
                info!(job = %run.job, attempt = run.attempt, ?why, "stops {run}");
                runner.stop(run, *why).await
            }
            Action::Forget(run) => {
                let jobs = &shared.agreement.agreed().state.jobs;
                if report::may_forget(jobs, run) { runner.forget(run).await } else { Ok(()) }
            }
        };
        if let Err(error) = done {
            warn!(%error, "{action:?} did not work; it is tried again");
        }
    }

    /// Gives runs the limits that their jobs have by now.
    async fn limit(&mut self, wanted: &[&Arc<Job>], found: &[Found]) {
        let Some(runner) = &self.runner else { return };
        for (job, (run, limits)) in
            wanted.iter().filter_map(|job| Some((job, self.terms.wants(job)?))).collect::<Vec<_>>()
        {
            if found.iter().any(|found| found.run == run && matches!(found.state, RunState::Running { .. })) {
                match runner.set_limits(&run, &limits).await {
                    Ok(()) => self.terms.limited(&run, limits),
                    Err(error) => warn!(job = %job.id, %error, "its limits cannot be changed"),
                }
            }
        }
    }

    fn show(&mut self, shared: &Shared, host: Option<&Host>, held: &[Arc<Job>], found: &[Found], refuses: Vec<String>) {
        let Ground { offers, unavailable, .. } = self.standing.ground().clone();
        let resources = shared.sampler.latest();
        let measured = shared.gpus.latest().usable().count() as u32;
        let gpus = host.and_then(|host| host.gpu.as_ref()).map_or(measured, |gpu| gpu.count);
        let running = |kind: Option<Kind>| {
            let is = |found: &&Found| {
                !matches!(found.state, RunState::Ended(_)) && kind.is_none_or(|kind| kind == found.run.kind)
            };
            found.iter().filter(is).count() as u32
        };
        let facts = JobFacts {
            runner: self.jobs.machine.name().to_owned(),
            slots: if self.runner.is_some() { super::slots(host, resources.cpu_count, gpus) } else { 0 },
            fill: *self.settings.jobs_fill,
            refuses: refuses.join("; "),
            offers: if self.runner.is_some() { offers } else { Vec::new() },
            memory_bytes: (resources.memory_gb * f64::from(1 << 30)) as u64,
            selfplay: running(Some(Kind::Selfplay)),
            training: running(Some(Kind::Training)),
            active: running(None),
        };
        let local = Local {
            refuses,
            unavailable,
            backing_off: local::backing_off(&self.reconciler.backing_off(Instant::now())),
            jobs: local::jobs(shared.node(), held, found, self.meter.usage(), &self.terms),
            nets: self.nets.clone(),
            trouble: self.trouble.clone(),
        };
        self.jobs.facts.store(Arc::new(facts));
        if *self.jobs.local() != local {
            self.jobs.local.store(Arc::new(local));
            shared.forget_snapshot();
        }
    }
}

fn reconcile_settings(settings: &Settings) -> ReconcileSettings {
    let limits = &settings.limits;
    ReconcileSettings {
        runaway_threshold: u64::from(*limits.runaway_processes),
        starts_per_second: *limits.job_starts as usize,
        crash_loop: *limits.crash_loop,
        ..ReconcileSettings::default()
    }
}

fn thresholds(settings: &Settings) -> Thresholds {
    let limits = &settings.limits;
    Thresholds { memory_critical: *limits.memory_critical, disk_critical: *limits.disk_critical }
}
