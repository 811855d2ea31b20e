use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use ringrift_config::NodeId;
use ringrift_jobs::{
    Action, Picture, ReconcileSettings, Reconciler, WantedRun,
    report::{self, JobReport, JobReports},
};
use ringrift_state::{Command, Job};
use ringrift_watch::Follower;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{LOOK_EVERY, Plant, machine::Machine};
use crate::tests::{net::Net, witness::Witness};

/// A worker that has not heard from a leader for so long does not act on what it holds, as in the daemon.
const FORGOTTEN: Duration = Duration::from_secs(5);

/// How long the leader has for an answer, and after what time it is told again.
const TOLD_WITHIN: Duration = Duration::from_secs(10);
const TOLD_AGAIN: Duration = Duration::from_secs(2);

/// Whether what a worker holds is what is agreed now, as far as it knows.
pub(crate) fn is_current(follower: &Follower) -> bool {
    follower.status().borrow().staleness().is_some_and(|stale| stale < FORGOTTEN)
}

/// Brings what runs on a worker's machine to what is agreed to run there, for as long as the daemon runs.
pub(crate) struct Keeper {
    net: Arc<Net>,
    plant: Arc<Plant>,
    node: NodeId,
    machine: Machine,
    follower: Follower,
    witness: Witness,
    reconciler: Reconciler,
    told: Vec<JobReport>,
    told_at: Option<Instant>,
    telling: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn new(
        (net, plant): (Arc<Net>, Arc<Plant>),
        node: NodeId,
        machine: Machine,
        follower: Follower,
        witness: Witness,
    ) -> Self {
        let reconciler = Reconciler::new(ReconcileSettings::default());
        Self {
            net,
            plant,
            node,
            machine,
            follower,
            witness,
            reconciler,
            told: Vec::new(),
            told_at: None,
            telling: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut tick = ringrift_tick::every(LOOK_EVERY);
        let mut agreed = self.follower.changes();
        loop {
            tokio::select! {
                biased;
                () = self.follower.stopped() => return,
                changed = agreed.changed() => if changed.is_err() { return },
                _ = tick.tick() => {}
            }
            self.look();
        }
    }

    fn look(&mut self) {
        let agreed = self.follower.agreed();
        let jobs = &agreed.state.jobs;
        let found = self.machine.list();
        let mut wanted: Vec<&Arc<Job>> = jobs.held_by(&self.node).filter(|job| job.is_wanted()).collect();
        wanted.sort_by_key(|job| job.queue_order());
        let wanted: Vec<WantedRun> =
            wanted.into_iter().filter_map(|job| WantedRun::of(job, Some(&self.plant.class))).collect();
        let now = Instant::now().into_std();
        let current = is_current(&self.follower);
        let outcome = self.reconciler.step(
            now,
            &Picture {
                wanted: &wanted,
                wanted_is_current: current,
                held: jobs.held_by(&self.node).count(),
                found: &found,
                tasks: &BTreeMap::new(),
                processes: &BTreeMap::new(),
                gpu_idle: &BTreeSet::new(),
                closed: None,
            },
        );
        for action in outcome.actions {
            match action {
                Action::Start(run) => {
                    let touch = if current { Ok(()) } else { Err(format!("{run} is started, and it has lost touch")) };
                    let started = touch.and_then(|()| self.machine.start(&run));
                    self.witness.run_started(&self.node, &run, started);
                    self.reconciler.answer(now, &run, Ok(()));
                }
                Action::Stop(run, _) => self.machine.stop(&run),
                Action::Forget(run) if report::may_forget(jobs, &run) => self.machine.forget(&run),
                Action::Forget(_) => {}
            }
        }
        self.tell(report::due(&self.node, jobs, outcome.reports, &found));
    }

    /// Tells the leader, unless it was told the same a moment ago.
    fn tell(&mut self, reports: Vec<JobReport>) {
        let _ = self.telling.take_if(|telling| telling.is_finished());
        let again = self.told_at.is_none_or(|at| at.elapsed() >= TOLD_AGAIN);
        let leader = self.follower.status().borrow().leader.clone();
        let Some(leader) = leader.filter(|_| is_current(&self.follower)) else { return };
        if self.telling.is_some() || reports.is_empty() || !(reports != self.told || again) {
            return;
        }
        self.told.clone_from(&reports);
        self.told_at = Some(Instant::now());
        let reports = JobReports { node: self.node.clone(), jobs: reports, nets: Vec::new() };
        let net = self.net.clone();
        self.telling = Some(tokio::spawn(async move {
            let asked = net.ask(&reports.node, &leader, async |voter| {
                let changes = report::changes(&voter.consensus.agreed().state.jobs, &reports);
                if !changes.is_empty() {
                    // What does not get through is told again.
                    let _ = voter.consensus.propose(Command::ChangeJobs { changes, at_ms: 1 }).await;
                }
            });
            let _ = timeout(TOLD_WITHIN, asked).await;
        }));
    }
}
