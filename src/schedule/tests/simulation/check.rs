use std::collections::{BTreeMap, HashMap, HashSet};

use ringrift_job::JobId;
use ringrift_state::{JobOutcome, Jobs, Origin, Phase};

use crate::node::Node;

/// The jobs that somebody asked for and of which nobody knows yet how they ended.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) open: HashSet<JobId>,
    pub(crate) outcomes: BTreeMap<JobOutcome, u32>,
}

impl Asked {
    /// None of them may be forgotten before its end was seen. Those that have not changed since the entry `before` were looked at.
    pub(crate) fn check(&mut self, jobs: &Jobs, before: u64) {
        for job in jobs.ended().filter(|job| job.changed_index > before) {
            if let Phase::Ended { outcome, .. } = job.phase
                && self.open.remove(&job.id)
            {
                *self.outcomes.entry(outcome).or_default() += 1;
            }
        }
        let live = jobs.live().filter(|job| job.origin != Origin::Fill).count();
        if live != self.open.len() {
            let lost = self.open.iter().find(|id| jobs.get(id).is_none());
            panic!("{} jobs are open, and {live} are known; for example {lost:?} is lost", self.open.len());
        }
    }
}

/// What no node may have, by what is agreed and by what really runs there.
pub(crate) fn nodes(nodes: &[Node], jobs: &Jobs) {
    let mut held = HashMap::new();
    let mut gpus = HashMap::new();
    for job in jobs.live() {
        let Some(assignment) = job.assignment() else { continue };
        let node = assignment.holder.node().expect("only nodes have jobs here");
        *held.entry(node).or_insert(0_u32) += 1;
        for gpu in &assignment.gpus {
            *gpus.entry((node, *gpu)).or_insert(0_u32) += assignment.gpu_share;
        }
    }
    let mut runs: HashSet<&JobId> = HashSet::new();
    let mut known = HashMap::new();
    for node in nodes {
        let (id, slots) = (&node.view.id, node.view.slots);
        known.insert(id, node.view.gpus.len());
        let count = held.get(id).copied().unwrap_or(0);
        assert!(count <= slots, "{id} has {count} jobs for {slots} slots");
        assert!(node.runs().len() <= slots as usize, "{id} runs {} jobs in {slots} slots", node.runs().len());
        // What runs on a node that nobody can reach is fenced; on the others each job runs once.
        if node.down_at.is_none() {
            for (job, _) in node.runs() {
                assert!(runs.insert(job), "{job} runs twice, once on {id}");
            }
        }
    }
    for ((id, gpu), share) in gpus {
        assert!((gpu as usize) < known[id] && share <= 100, "{id} has given away {share} % of its GPU {gpu}");
    }
}
