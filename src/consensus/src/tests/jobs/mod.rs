//! Jobs in a life: the real scheduler on every voter, the real reconciler on every worker, and machines on which runs go on whatever
//! becomes of the daemon. What lies between them here the daemon does elsewhere.

mod keep;
mod lead;
mod machine;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ringrift_config::{Capability, NodeId};
use ringrift_job::{Class, Classes, GameConfig};
use ringrift_schedule::{FillPolicy, NodeView, Presence, Settings};
use ringrift_state::{Command, Eligibility, NewJob, Origin};

pub(crate) use self::{
    keep::{Keeper, is_current},
    lead::lead,
    machine::Machine,
};

/// How many jobs a worker takes at once.
pub(crate) const SLOTS: u32 = 2;

/// How often whoever leads decides, and workers look at what runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What all nodes of a life know of jobs.
pub(crate) struct Plant {
    workers: Vec<NodeId>,
    class: Arc<Class>,
    settings: Settings,
}

impl Plant {
    pub(crate) fn of(workers: Vec<NodeId>) -> Self {
        // Shorter than those of a cluster, so that a life has many of each.
        let pause = Duration::from_secs(20);
        let settings = Settings {
            reconnect_window: pause,
            start_timeout: 2 * pause,
            max_backoff: pause,
            avoid: pause,
            block: pause,
            fill: FillPolicy::default(),
            ..Settings::default()
        };
        let class = Classes::default().get("selfplay").expect("it is built in").clone();
        Self { workers, class, settings }
    }

    /// A worker as whoever leads sees it.
    fn view(&self, node: &NodeId, presence: Presence, eligibility: Eligibility) -> NodeView {
        NodeView {
            id: node.clone(),
            presence,
            eligibility,
            ready: true,
            capabilities: vec![Capability::Selfplay],
            slots: SLOTS,
            load: 0.0,
            refuses: None,
            fill: false,
            offer: BTreeMap::from([(self.class.name.clone(), self.class.needs.clone())]),
            gpus: Vec::new(),
            memory_bytes: 512 << 30,
            models: GameConfig::all().collect(),
        }
    }

    /// Asks for the jobs of these numbers.
    pub(crate) fn submit(&self, numbers: std::ops::Range<u64>) -> Command {
        let game = GameConfig::all().next();
        let job = |n| NewJob {
            id: format!("selfplay-{n}").parse().expect("a job id"),
            class: self.class.name.clone(),
            kind: self.class.kind,
            params: BTreeMap::new().into_iter().collect(),
            game,
            priority: (n % 3) as i32,
            depends_on: Vec::new(),
            timeout_s: 0,
            max_attempts: NewJob::MAX_ATTEMPTS,
            pinned: None,
            origin: Origin::Work,
            by: String::new(),
            limits: self.class.limits.clone(),
        };
        Command::SubmitJobs { jobs: numbers.map(job).collect(), hard_limit: 10_000, at_ms: 1 }
    }
}
