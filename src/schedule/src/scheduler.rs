use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::JobId;
use ringrift_state::{Assignment, Holder, Job, JobChange, JobOutcome, NewEvent, NewJob};

use crate::View;
use crate::candidates::Table;
use crate::ledger::{Ledger, fills};
use crate::memory::{InFlight, Waiting};
use crate::strikes::Strikes;

/// Decides where jobs go. The leader steps it every half second, and when the agreed state has changed.
///
/// Nothing in it must survive: a new leader begins with an empty one. What is agreed is in the state; what it remembers besides
/// are times by its own clock, and why it decided as it did.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) strikes: Strikes,
    pub(crate) waiting: Waiting,
    pub(crate) in_flight: InFlight,
    /// Since when jobs are on nodes that nobody knows.
    unknown: HashMap<NodeId, Duration>,
    pub(crate) decisions: Remembered,
    chance: u64,
}

/// What the leader shall propose: first the jobs, then the changes; and what it shall record.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Jobs for idle slots, for [`ringrift_state::Command::SubmitJobs`]. Some of the changes place them.
    pub submit: Vec<NewJob>,
    /// For [`ringrift_state::Command::ChangeJobs`].
    pub changes: Vec<JobChange>,
    /// For [`ringrift_state::Command::Record`], each with a wall clock that the caller puts in.
    pub events: Vec<NewEvent>,
}

impl Decisions {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.submit.is_empty() && self.changes.is_empty() && self.events.is_empty()
    }
}

/// Why jobs are where they are.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    by: BTreeMap<JobId, Decision>,
    order: VecDeque<(JobId, u32)>,
}

#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) attempt: u32,
    pub(crate) table: Arc<Table>,
}

impl Remembered {
    const MAX: usize = 4096;

    fn add(&mut self, job: &JobId, attempt: u32, table: Arc<Table>) {
        self.order.push_back((job.clone(), attempt));
        self.by.insert(job.clone(), Decision { attempt, table });
        while self.order.len() > Self::MAX {
            let Some((oldest, attempt)) = self.order.pop_front() else { break };
            if self.by.get(&oldest).is_some_and(|decision| decision.attempt == attempt) {
                self.by.remove(&oldest);
            }
        }
    }

    pub(crate) fn of(&self, job: &Job) -> Option<&Decision> {
        self.by.get(&job.id).filter(|decision| decision.attempt == job.attempt)
    }
}

impl Scheduler {
    /// One that has seen nothing yet. `chance` is any random number: names of new jobs are made of it.
    pub fn new(chance: u64) -> Self {
        Self {
            strikes: Strikes::default(),
            waiting: Waiting::default(),
            in_flight: InFlight::default(),
            unknown: HashMap::new(),
            decisions: Remembered::default(),
            chance,
        }
    }

    /// What to do at `now`, which is any clock that never goes back.
    pub fn step(&mut self, now: Duration, view: &View<'_>) -> Decisions {
        let mut out = Decisions::default();
        self.strikes.learn(now, view.jobs, view.settings, &mut out.events);
        self.waiting.learn(now, view.jobs);
        self.in_flight.learn(now, view.jobs);
        let mut ledger = self.ledger(view);

        self.take_away(now, view, &ledger, &mut out);
        // As long as there is room for more of the queue, nothing is filled.
        if let Some(unplaced) = self.place_queued(now, view, &mut ledger, &mut out) {
            let kept = self.keep_back(now, view, &ledger, &unplaced, &mut out);
            self.fill(now, view, &mut ledger, &kept, &mut out);
        }
        out
    }

    /// What is taken of the nodes, agreed or about to be.
    pub(crate) fn ledger<'v>(&self, view: &View<'v>) -> Ledger<'v> {
        let mut ledger = Ledger::of(view.nodes, view.jobs, |_| true);
        self.in_flight.placements().for_each(|assignment| ledger.add(assignment));
        ledger
    }

    /// Ends what cannot go on where it is.
    fn take_away(&mut self, now: Duration, view: &View<'_>, ledger: &Ledger<'_>, out: &mut Decisions) {
        let mut unknown = HashMap::new();
        for job in view.jobs.live() {
            let change = match job.holder() {
                None => give_up(job, view),
                Some(Holder::Pull { .. }) => self.lease_over(now, job, view),
                Some(Holder::Node(id)) => {
                    if ledger.at(id).is_none() && !unknown.contains_key(id) {
                        unknown.insert(id.clone(), self.unknown.get(id).copied().unwrap_or(now));
                    }
                    let missing = unknown.get(id).map(|since| now.saturating_sub(*since));
                    self.node_gone(now, job, id, ledger.at(id), missing, view)
                }
            };
            if let Some(change) = change.filter(|_| !self.in_flight.has(&job.id)) {
                self.in_flight.changed(job, now);
                out.changes.push(change);
            }
        }
        self.unknown = unknown;
    }

    fn lease_over(&self, now: Duration, job: &Job, view: &View<'_>) -> Option<JobChange> {
        let lease = if job.timeout_s > 0 { Duration::from_secs(job.timeout_s) } else { view.settings.lease };
        let held = self.waiting.time(now, job);
        let reason = format!("its worker did not report within {} s", lease.as_secs());
        (held >= lease).then(|| JobChange::Lost { job: job.id.clone(), attempt: job.attempt, reason })
    }

    fn node_gone(
        &self,
        now: Duration,
        job: &Job,
        id: &NodeId,
        at: Option<usize>,
        missing: Option<Duration>,
        view: &View<'_>,
    ) -> Option<JobChange> {
        let (id_of, attempt, settings) = (job.id.clone(), job.attempt, view.settings);
        let node = at.map(|at| &view.nodes[at]);
        let dead_for = match node.map(|node| node.presence) {
            Some(crate::Presence::Dead { since }) => Some(since),
            Some(crate::Presence::Alive | crate::Presence::Suspect) => None,
            None => missing,
        };
        if let Some(dead_for) = dead_for {
            let judges = view.led_for >= settings.judging_after();
            let over = judges && dead_for >= settings.reconnect_window;
            let reason = format!("{id} has been gone for {} s", dead_for.as_secs());
            return over.then_some(JobChange::Lost { job: id_of, attempt, reason });
        }
        let node = node.filter(|node| node.presence == crate::Presence::Alive)?;
        let silent = matches!(job.phase, ringrift_state::Phase::Placed { .. });
        if silent && self.waiting.time(now, job) >= settings.start_timeout {
            let reason = format!("{id} did not say within {} s that it runs", settings.start_timeout.as_secs());
            return Some(JobChange::Refused { job: id_of, attempt, reason });
        }
        let drained = node.eligibility == ringrift_state::Eligibility::Draining;
        (drained && job.is_wanted()).then(|| {
            let reason = format!("{id} is drained");
            JobChange::Recall { job: id_of, attempt, reason }
        })
    }

    /// Proposes a placement.
    pub(crate) fn place(
        &mut self,
        now: Duration,
        job: (&JobId, u32),
        assignment: Assignment,
        slots: u32,
        table: Arc<Table>,
        out: &mut Decisions,
    ) {
        let (id, attempt) = job;
        self.decisions.add(id, attempt, table);
        self.in_flight.placed(id, attempt, now, assignment.clone());
        out.changes.push(JobChange::Place { job: id.clone(), attempt, assignment, slots });
    }

    /// A number that nobody foresees (splitmix64).
    pub(crate) fn chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What waits for a job that nobody knows waits for ever. Such a state can only come from a file that somebody has changed.
fn give_up(job: &Job, view: &View<'_>) -> Option<JobChange> {
    let needed = view.jobs.waits_for(job).filter(|needed| view.jobs.get(needed).is_none())?;
    let reason = format!("it depends on {needed}, which nobody knows");
    let outcome = JobOutcome::Failed;
    (!fills(job)).then(|| JobChange::GiveUp { job: job.id.clone(), attempt: job.attempt, outcome, reason })
}
