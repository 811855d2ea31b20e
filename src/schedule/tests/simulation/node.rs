use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ringrift_config::Capability;
use ringrift_job::{Classes, Ending, GameConfig, How, JobId, Usage};
use ringrift_schedule::{GpuView, NodeView, Presence};
use ringrift_state::{Eligibility, Job, JobChange, Phase};

use crate::chance::Chance;

/// A machine with its daemon.
pub(crate) struct Node {
    /// What it is; how it is now the leader sees.
    pub(crate) view: NodeView,
    /// Since when it cannot be reached; none when it can.
    pub(crate) down_at: Option<u64>,
    pub(crate) back_at: u64,
    runs: BTreeMap<(JobId, u32), Run>,
    over: BTreeMap<(JobId, u32), Ending>,
    /// It gives back much of what it gets.
    pub(crate) broken: bool,
}

struct Run {
    ends_at: u64,
    how: How,
}

/// What happened once may not happen again.
#[derive(Default)]
pub(crate) struct Started(HashSet<(JobId, u32)>);

impl Node {
    pub(crate) fn new(at: usize, classes: &Classes, chance: &mut Chance) -> Self {
        use Capability::{Coordinator, Selfplay, Training};
        let (capabilities, slots, gpus) = match at % 10 {
            0..=3 => (vec![Selfplay], 4, 0),
            4..=6 => (vec![Selfplay], 6, 2),
            7..=8 => (vec![Selfplay, Training], 8, 4),
            _ if at % 20 == 9 => (vec![Coordinator], 4, 0),
            _ => (vec![Selfplay, Training], 12, 8),
        };
        let gpu = |index| GpuView { index, vram_bytes: 24 << 30, usable: true };
        let view = NodeView {
            id: format!("node-{at}").parse().expect("a node id"),
            presence: Presence::Alive,
            eligibility: Eligibility::Eligible,
            ready: true,
            capabilities,
            slots,
            load: chance.between(0, 100) as f32 / 100.0,
            refuses: None,
            fill: true,
            offer: classes.iter().map(|class| (class.name.clone(), class.needs.clone())).collect(),
            gpus: (0..gpus).map(gpu).collect(),
            memory_bytes: 512 << 30,
            models: GameConfig::all().collect(),
        };
        let broken = at % 14 == 5;
        Self { view, down_at: None, back_at: 0, runs: BTreeMap::new(), over: BTreeMap::new(), broken }
    }

    pub(crate) fn plays(&self) -> bool {
        self.view.capabilities.contains(&Capability::Selfplay)
    }

    /// How the leader sees it that has led for so long.
    pub(crate) fn presence(&self, now: u64, led_for: u64) -> Presence {
        let failure_timeout = 10_000;
        match self.down_at.map(|at| (now - at).min(led_for)) {
            None | Some(0..=3_000) => Presence::Alive,
            Some(gone) if gone <= failure_timeout => Presence::Suspect,
            Some(gone) => Presence::Dead { since: Duration::from_millis(gone - failure_timeout) },
        }
    }

    /// It cannot be reached any more. If the machine died, its runs died with it.
    pub(crate) fn fall(&mut self, now: u64, back_at: u64, machine: bool) {
        self.down_at = Some(now);
        self.back_at = back_at;
        if machine {
            self.runs.clear();
            self.over.clear();
        }
    }

    /// Time passes, whoever may know of it.
    pub(crate) fn run(&mut self, now: u64) {
        let over: Vec<_> = self.runs.iter().filter(|(_, run)| run.ends_at <= now).map(|(id, _)| id.clone()).collect();
        for id in over {
            if let Some(run) = self.runs.remove(&id) {
                self.over.insert(id, Ending { how: run.how, ran_ms: 70_000, usage: Usage::default() });
            }
        }
    }

    /// Makes what runs what is agreed, and says what it sees.
    pub(crate) fn reconcile(
        &mut self,
        now: u64,
        agreed: &[&Arc<Job>],
        started: &mut Started,
        chance: &mut Chance,
    ) -> Vec<JobChange> {
        let ours: BTreeMap<_, _> = agreed.iter().map(|job| ((job.id.clone(), job.attempt), *job)).collect();
        let unwanted: Vec<_> =
            self.runs.keys().filter(|id| ours.get(*id).is_none_or(|job| !job.is_wanted())).cloned().collect();
        for id in unwanted {
            self.runs.remove(&id);
            self.over.insert(id, Ending { how: How::Stopped, ran_ms: 1, usage: Usage::default() });
        }
        self.over.retain(|id, _| ours.contains_key(id));
        let mut reports = Vec::new();
        for (id, job) in ours {
            let attempt = id.1;
            let running = matches!(job.phase, Phase::Running { .. });
            let job_id = id.0.clone();
            if let Some(ending) = self.over.get(&id) {
                reports.push(JobChange::Ended { job: job_id, attempt, ending: ending.clone() });
            } else if self.runs.contains_key(&id) {
                if !running {
                    reports.push(JobChange::Started { job: job_id, attempt, since_ms: now });
                }
            } else if running || !job.is_wanted() {
                let how = if job.is_wanted() { How::Vanished } else { How::Stopped };
                self.over.insert(id, Ending { how, ran_ms: 0, usage: Usage::default() });
            } else if self.broken && chance.happens(0.7) {
                let how = How::NotStarted { reason: "its runner is broken".to_owned() };
                self.over.insert(id, Ending { how, ran_ms: 0, usage: Usage::default() });
            } else if started.0.insert(id.clone()) {
                let how = if chance.happens(0.02) { How::Exited { code: 1 } } else { How::Exited { code: 0 } };
                self.runs.insert(id, Run { ends_at: now + chance.between(15_000, 45_000), how });
            } else {
                // It ran here before the machine died.
                self.over.insert(id, Ending { how: How::Vanished, ran_ms: 0, usage: Usage::default() });
            }
        }
        reports
    }

    /// The runs that are there.
    pub(crate) fn runs(&self) -> impl ExactSizeIterator<Item = &(JobId, u32)> {
        self.runs.keys()
    }
}
