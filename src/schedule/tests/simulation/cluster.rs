use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::{Classes, GameConfig, JobId, Kind, Limits};
use ringrift_schedule::{FillPolicy, NodeView, Scheduler, Settings, View};
use ringrift_state::{
    Agreed, Command, Eligibility, EntryMeta, Job, JobChange, JobOutcome, NewJob, Origin, Outcome, Phase, kind,
};

use crate::chance::Chance;
use crate::check::{self, Asked};
use crate::node::{Node, Started};

/// How large, for how long, how bad.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) jobs: usize,
    /// How often something goes wrong; 1: each node about once in 25 minutes, the leader once in 4.
    pub(crate) churn: f64,
}

/// A cluster in time.
pub(crate) struct Cluster {
    case: Case,
    chance: Chance,
    now: u64,
    agreed: Agreed,
    nodes: Vec<Node>,
    /// How the leader sees them, in the same order: to copy all of them at each step takes longer than the step.
    views: Vec<NodeView>,
    classes: Classes,
    settings: Settings,
    scheduler: Scheduler,
    led_since: u64,
    /// Commands under way, by when they arrive.
    under_way: BTreeMap<(u64, u64), Command>,
    sent: u64,
    submitted: usize,
    asked: Asked,
    started: Started,
    filled: (u64, u64),
    steps: Vec<Duration>,
    placed: usize,
}

const TICK: u64 = 500;
/// Until then the cluster fills up.
const WARM: u64 = 60_000;

impl Cluster {
    pub(crate) fn new(case: Case) -> Self {
        let mut chance = Chance::new(case.seed);
        let classes = Classes::default();
        let class = |name| Arc::clone(classes.get(name).expect("it is built in"));
        let fill = FillPolicy {
            enabled: true,
            classes: vec![class("gpu_selfplay"), class("selfplay")],
            ..FillPolicy::default()
        };
        let preempt_after = Some(Duration::from_mins(1));
        let settings = Settings { fill, preempt_after, max_placements: 1024, ..Settings::default() };
        let nodes: Vec<Node> = (0..case.nodes).map(|at| Node::new(at, &classes, &mut chance)).collect();
        Self {
            views: nodes.iter().map(|node| node.view.clone()).collect(),
            nodes,
            scheduler: Scheduler::new(case.seed),
            case,
            chance,
            now: 0,
            agreed: Agreed::default(),
            classes,
            settings,
            led_since: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            submitted: 0,
            asked: Asked::default(),
            started: Started::default(),
            filled: (0, 0),
            steps: Vec::new(),
            placed: 0,
        }
    }

    /// Until all that was asked for is over.
    pub(crate) fn run(&mut self) {
        let _seed = Seed(self.case);
        while self.submitted < self.case.jobs || !self.asked.open.is_empty() {
            self.tick();
            assert!(self.now < 4 * 3_600_000, "after four hours {:?} are not over", self.asked.open.iter().next());
        }
        let outcomes = &self.asked.outcomes;
        assert_eq!(outcomes.keys().collect::<Vec<_>>(), [&JobOutcome::Succeeded], "{outcomes:?}");
        assert_eq!(outcomes[&JobOutcome::Succeeded] as usize, self.case.jobs);
    }

    fn tick(&mut self) {
        self.now += TICK;
        let before = self.agreed.index;
        let due: Vec<_> = self.under_way.range(..(self.now, 0)).map(|(key, _)| *key).collect();
        for key in due {
            if let Some(command) = self.under_way.remove(&key) {
                self.apply(&command);
            }
        }
        self.weather();
        self.submit();
        self.report();
        self.lead();
        self.asked.check(&self.agreed.state.jobs, before);
        // In a large one it is looked at less often, for the time that it takes.
        if self.case.nodes < 100 || self.now.is_multiple_of(4 * TICK) {
            check::nodes(&self.nodes, &self.agreed.state.jobs);
        }
        self.measure();
    }

    fn apply(&mut self, command: &Command) -> Outcome {
        let meta = EntryMeta { term: 1, index: self.agreed.index + 1 };
        self.agreed.apply(meta, command).expect("the next index")
    }

    /// A command goes its way: it may be lost, late, or come twice.
    fn send(&mut self, command: &Command) {
        if self.chance.happens(0.02) {
            return;
        }
        let slow = self.chance.happens(0.02);
        for _ in 0..if self.chance.happens(0.02) { 2 } else { 1 } {
            let delay = if slow { self.chance.between(0, 20_000) } else { self.chance.between(0, 600) };
            self.sent += 1;
            self.under_way.insert((self.now + delay, self.sent), command.clone());
        }
    }

    fn weather(&mut self) {
        let per_tick = |every_ms: f64| TICK as f64 / every_ms * self.case.churn;
        let (fall, change, drain) = (per_tick(1_500_000.0), per_tick(240_000.0), per_tick(120_000.0));
        let calm = self.now < WARM / 2;
        for node in self.nodes.iter_mut().filter(|_| !calm) {
            if node.down_at.is_some() && node.back_at <= self.now {
                node.down_at = None;
            } else if node.down_at.is_none() && self.chance.happens(fall) {
                let back_at = self.now + self.chance.between(1_000, 200_000);
                node.fall(self.now, back_at, self.chance.happens(0.5));
            }
        }
        if !calm && self.chance.happens(change) {
            // Nobody leads for a moment; then somebody does who remembers nothing.
            self.led_since = self.now + self.chance.between(500, 4_000);
            self.scheduler = Scheduler::new(self.chance.number());
        }
        if !calm && self.chance.happens(drain) {
            let at = self.chance.between(0, self.nodes.len() as u64) as usize;
            let node = self.nodes[at].view.id.clone();
            let was = self.agreed.state.eligibility_of(&node);
            let eligibility = if was == Eligibility::Eligible { Eligibility::Draining } else { Eligibility::Eligible };
            let (by, reason) = (String::new(), String::new());
            self.apply(&Command::SetEligibility { node, eligibility, by, reason, at_ms: self.now });
        }
        // Nobody forgets to let drained nodes work again.
        if self.agreed.state.eligibility.len() * 20 > self.nodes.len() + 20 {
            for node in self.agreed.state.eligibility.keys().cloned().collect::<Vec<_>>() {
                let (by, reason) = (String::new(), String::new());
                let eligibility = Eligibility::Eligible;
                self.apply(&Command::SetEligibility { node, eligibility, by, reason, at_ms: self.now });
            }
        }
    }

    /// About 70 % of what the cluster can do; the rest is filled.
    fn submit(&mut self) {
        let slots: u32 = self.nodes.iter().map(|node| node.view.slots).sum();
        let rate = f64::from(slots) * 0.7 / 30_000.0 * TICK as f64;
        let count = rate as usize + usize::from(self.chance.happens(rate.fract()));
        let count = count.min(self.case.jobs - self.submitted);
        let mut jobs: Vec<NewJob> = Vec::new();
        for _ in 0..count {
            let after = jobs.last().filter(|_| self.chance.happens(0.05)).map(|job| job.id.clone());
            jobs.push(self.job(after));
            self.submitted += 1;
        }
        self.asked.open.extend(jobs.iter().map(|job| job.id.clone()));
        if !jobs.is_empty() {
            let submit = Command::SubmitJobs { jobs, hard_limit: 50_000, at_ms: self.now };
            assert_eq!(self.apply(&submit), Outcome::Done);
        }
    }

    fn job(&mut self, after: Option<JobId>) -> NewJob {
        let name = match self.chance.between(0, 20) {
            0 => "training",
            1..=3 => "evaluation",
            4..=8 => "gpu_selfplay",
            _ => "selfplay",
        };
        let class = self.classes.get(name).expect("it is built in");
        let games: Vec<_> = GameConfig::all().collect();
        NewJob {
            id: format!("{name}-{}", self.submitted).parse().expect("a job id"),
            class: class.name.clone(),
            kind: class.kind,
            params: [].into_iter().collect(),
            game: Some(games[self.chance.between(0, 12) as usize]),
            priority: self.chance.between(0, 3) as i32,
            depends_on: after.into_iter().collect(),
            timeout_s: 0,
            max_attempts: 20,
            pinned: None,
            origin: Origin::Work,
            by: String::new(),
            limits: Limits::default(),
        }
    }

    fn report(&mut self) {
        let mut by_node: HashMap<&NodeId, Vec<&Arc<Job>>> = HashMap::new();
        for job in self.agreed.state.jobs.live() {
            if let Some(node) = job.holder().and_then(|holder| holder.node()) {
                by_node.entry(node).or_default().push(job);
            }
        }
        let mut changes = Vec::new();
        let mut late = Vec::new();
        for node in &mut self.nodes {
            node.run(self.now);
            if node.down_at.is_some() {
                continue;
            }
            let agreed = by_node.get(&node.view.id).map_or(&[][..], Vec::as_slice);
            for report in node.reconcile(self.now, agreed, &mut self.started, &mut self.chance) {
                if self.chance.happens(0.02) {
                    late.push(report.clone());
                }
                if !self.chance.happens(0.05) {
                    changes.push(report);
                }
            }
        }
        if !changes.is_empty() {
            self.send(&Command::ChangeJobs { changes, at_ms: self.now });
        }
        if !late.is_empty() {
            self.sent += 1;
            let at = self.now + self.chance.between(10_000, 200_000);
            self.under_way.insert((at, self.sent), Command::ChangeJobs { changes: late, at_ms: self.now });
        }
    }

    fn lead(&mut self) {
        let Some(led_for) = self.now.checked_sub(self.led_since) else { return };
        for (node, view) in self.nodes.iter().zip(&mut self.views) {
            view.eligibility = self.agreed.state.eligibility_of(&view.id);
            view.presence = node.presence(self.now, led_for);
        }
        let view = View {
            jobs: &self.agreed.state.jobs,
            nodes: &self.views,
            led_for: Duration::from_millis(led_for),
            underserved: &[],
            settings: &self.settings,
        };
        let begun = processor_time();
        let decisions = self.scheduler.step(Duration::from_millis(self.now), &view);
        self.steps.push(processor_time().saturating_sub(begun));
        self.placed += decisions.changes.iter().filter(|change| matches!(change, JobChange::Place { .. })).count();
        if !decisions.submit.is_empty() {
            self.send(&Command::SubmitJobs { jobs: decisions.submit, hard_limit: 0, at_ms: self.now });
        }
        if !decisions.changes.is_empty() {
            self.send(&Command::ChangeJobs { changes: decisions.changes, at_ms: self.now });
        }
        for event in decisions.events {
            self.send(&Command::Record { event });
        }
    }

    fn measure(&mut self) {
        // At the end only filling is left, and the last of what was asked for.
        if self.now < WARM || self.submitted >= self.case.jobs {
            return;
        }
        let mut held: HashMap<&NodeId, u64> = HashMap::new();
        for job in self.agreed.state.jobs.live() {
            if let Some(node) = job.holder().and_then(|holder| holder.node()) {
                *held.entry(node).or_default() += 1;
            }
        }
        let counted = |node: &&Node| {
            let eligible = self.agreed.state.eligibility_of(&node.view.id) == Eligibility::Eligible;
            node.down_at.is_none() && eligible && node.plays() && !node.broken
        };
        for node in self.nodes.iter().filter(counted) {
            self.filled.0 += held.get(&node.view.id).copied().unwrap_or(0);
            self.filled.1 += u64::from(node.view.slots);
        }
    }

    /// How much of the slots was taken, on nodes that could have been given work.
    pub(crate) fn filled(&self) -> f64 {
        self.filled.0 as f64 / self.filled.1.max(1) as f64
    }

    pub(crate) fn moved(&self) -> usize {
        self.agreed.state.events.iter().filter(|event| event.event.kind == kind::JOB_MOVED).count()
    }

    pub(crate) fn summary(&self) -> String {
        let total: Duration = self.steps.iter().sum();
        let worst = self.steps.iter().max().copied().unwrap_or_default();
        let running = self.agreed.state.jobs.live().filter(|job| matches!(job.phase, Phase::Running { .. })).count();
        let selfplay = self.agreed.state.jobs.live().filter(|job| job.kind == Kind::Selfplay).count();
        format!(
            "{:?}: {} s, {} placements, {:.1} % filled, {running} run now ({selfplay} play), {:.1} µs a placement, a step {:.2} ms and at most {:.1} ms",
            self.case,
            self.now / 1000,
            self.placed,
            self.filled() * 100.0,
            total.as_secs_f64() * 1e6 / self.placed.max(1) as f64,
            total.as_secs_f64() * 1e3 / self.steps.len().max(1) as f64,
            worst.as_secs_f64() * 1e3,
        )
    }
}

/// Of this thread: a busy machine does not change it.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Names the case when the test fails in it.
struct Seed(Case);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {:?}: SIMULATION_SEED={}", self.0, self.0.seed);
        }
    }
}
