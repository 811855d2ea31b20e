//! What the scheduler decides, case by case.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod failing;
mod filling;
mod placing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ringrift_config::{Capability, NodeId};
use ringrift_job::{Classes, Ending, GameConfig, GpuNeed, How, JobId, Limits, Usage};
use ringrift_schedule::{
    Claim, Decisions, FillPolicy, GpuView, NodeView, PassedOver, Presence, Scheduler, Settings, Verdict, View,
};
use ringrift_state::{
    Agreed, Command, Eligibility, EntryMeta, Holder, Job, JobChange, NewJob, Origin, Outcome, Phase, kind,
};

/// A leader, the nodes that it sees, and what is agreed.
struct Bench {
    agreed: Agreed,
    nodes: Vec<NodeView>,
    settings: Settings,
    underserved: Vec<GameConfig>,
    scheduler: Scheduler,
    now: Duration,
    led_for: Duration,
}

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn job_id(text: &str) -> JobId {
    text.parse().unwrap()
}

fn game(text: &str) -> GameConfig {
    text.parse().unwrap()
}

/// A node with two slots that plays and trains.
fn node(name: &str) -> NodeView {
    NodeView {
        id: id(name),
        presence: Presence::Alive,
        eligibility: Eligibility::Eligible,
        ready: true,
        capabilities: vec![Capability::Selfplay, Capability::Training],
        slots: 2,
        load: 0.0,
        refuses: None,
        fill: true,
        offer: Classes::default().iter().map(|class| (class.name.clone(), class.needs.clone())).collect(),
        gpus: Vec::new(),
        memory_bytes: 64 << 30,
        models: GameConfig::all().collect(),
    }
}

fn with_gpus(name: &str, count: u32) -> NodeView {
    let gpu = |index| GpuView { index, vram_bytes: 24 << 30, usable: true };
    NodeView { gpus: (0..count).map(gpu).collect(), slots: 8, ..node(name) }
}

fn job(name: &str, class: &str) -> NewJob {
    let classes = Classes::default();
    let class = classes.get(class).unwrap();
    NewJob {
        id: job_id(name),
        class: class.name.clone(),
        kind: class.kind,
        params: [].into_iter().collect(),
        game: Some(game("hex8_2p")),
        priority: 0,
        depends_on: Vec::new(),
        timeout_s: 0,
        max_attempts: 3,
        pinned: None,
        origin: Origin::Work,
        by: String::new(),
        limits: Limits::default(),
    }
}

impl Bench {
    fn new(nodes: Vec<NodeView>) -> Self {
        Self {
            agreed: Agreed::default(),
            nodes,
            settings: Settings::default(),
            underserved: Vec::new(),
            scheduler: Scheduler::new(7),
            now: Duration::from_secs(1000),
            led_for: Duration::from_secs(1000),
        }
    }

    fn apply(&mut self, command: &Command) {
        let meta = EntryMeta { term: 1, index: self.agreed.index + 1 };
        let outcome = self.agreed.apply(meta, command).unwrap();
        assert!(!matches!(outcome, Outcome::Refused { .. }), "{outcome:?}");
    }

    fn submit(&mut self, jobs: Vec<NewJob>) {
        self.apply(&Command::SubmitJobs { jobs, hard_limit: 1000, at_ms: 0 });
    }

    fn change(&mut self, change: JobChange) {
        self.apply(&Command::ChangeJobs { changes: vec![change], at_ms: 0 });
    }

    /// Decides without agreeing on it.
    fn decide(&mut self) -> Decisions {
        let view = View {
            jobs: &self.agreed.state.jobs,
            nodes: &self.nodes,
            led_for: self.led_for,
            underserved: &self.underserved,
            settings: &self.settings,
        };
        self.scheduler.step(self.now, &view)
    }

    /// Decides, and it is agreed.
    fn step(&mut self) -> Decisions {
        let decisions = self.decide();
        if !decisions.submit.is_empty() {
            self.submit(decisions.submit.clone());
        }
        self.apply(&Command::ChangeJobs { changes: decisions.changes.clone(), at_ms: 0 });
        decisions
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.led_for += Duration::from_secs(seconds);
    }

    fn why(&self, job: &str) -> ringrift_schedule::Why {
        let view = View {
            jobs: &self.agreed.state.jobs,
            nodes: &self.nodes,
            led_for: self.led_for,
            underserved: &self.underserved,
            settings: &self.settings,
        };
        self.scheduler.why(self.now, &job_id(job), &view).unwrap()
    }

    fn job(&self, name: &str) -> &Job {
        self.agreed.state.jobs.get(&job_id(name)).unwrap()
    }

    fn place_of(&self, name: &str) -> Option<String> {
        self.job(name).holder().map(ToString::to_string)
    }

    fn started(&mut self, name: &str) {
        let attempt = self.job(name).attempt;
        self.change(JobChange::Started { job: job_id(name), attempt, since_ms: 0 });
    }

    fn ended(&mut self, name: &str, how: How) {
        let attempt = self.job(name).attempt;
        let ending = Ending { how, ran_ms: 100, usage: Usage::default() };
        self.change(JobChange::Ended { job: job_id(name), attempt, ending });
    }

    fn drain(&mut self, name: &str) {
        let (by, reason) = (String::new(), String::new());
        let eligibility = Eligibility::Draining;
        self.apply(&Command::SetEligibility { node: id(name), eligibility, by, reason, at_ms: 0 });
        self.nodes.iter_mut().filter(|node| node.id == id(name)).for_each(|node| node.eligibility = eligibility);
    }

    fn fill_with(&mut self, classes: &[&str]) {
        let known = Classes::default();
        let classes = classes.iter().map(|name| Arc::clone(known.get(name).unwrap())).collect();
        self.settings.fill = FillPolicy { enabled: true, classes, ..FillPolicy::default() };
    }
}

fn changed(decisions: &Decisions) -> Vec<&str> {
    decisions.changes.iter().map(|change| change.job().as_str()).collect()
}
