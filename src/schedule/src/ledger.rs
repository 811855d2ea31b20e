use std::collections::HashMap;

use ringrift_config::NodeId;
use ringrift_job::GpuNeed;
use ringrift_state::{Assignment, Job, Jobs, Origin};

use crate::NodeView;

/// What the jobs have of one node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used {
    pub(crate) slots: u32,
    pub(crate) memory: u64,
    /// Percent of each GPU, by index.
    gpus: Vec<(u32, u32)>,
}

/// What the jobs have of all nodes, by their places in the view.
pub(crate) struct Ledger<'a> {
    by_id: HashMap<&'a NodeId, usize>,
    used: Vec<Used>,
    /// Grows with each change of a node: what was computed of it before is stale.
    versions: Vec<u32>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(nodes: &'a [NodeView]) -> Self {
        let by_id = nodes.iter().enumerate().map(|(at, node)| (&node.id, at)).collect();
        Self { by_id, used: vec![Used::default(); nodes.len()], versions: vec![0; nodes.len()] }
    }

    /// With what all jobs have that pass.
    pub(crate) fn of(nodes: &'a [NodeView], jobs: &Jobs, passes: impl Fn(&Job) -> bool) -> Self {
        let mut ledger = Self::new(nodes);
        for job in jobs.live().filter(|job| passes(job)) {
            if let Some(assignment) = job.assignment() {
                ledger.add(assignment);
            }
        }
        ledger
    }

    pub(crate) fn at(&self, node: &NodeId) -> Option<usize> {
        self.by_id.get(node).copied()
    }

    pub(crate) fn used(&self, at: usize) -> &Used {
        &self.used[at]
    }

    pub(crate) fn version(&self, at: usize) -> u32 {
        self.versions[at]
    }

    pub(crate) fn add(&mut self, assignment: &Assignment) {
        if let Some(at) = assignment.holder.place().and_then(|node| self.at(node)) {
            self.versions[at] += 1;
            self.used[at].add(assignment);
        }
    }
}

impl Used {
    pub(crate) fn add(&mut self, assignment: &Assignment) {
        self.slots += 1;
        self.memory = self.memory.saturating_add(assignment.memory);
        for index in &assignment.gpus {
            match self.gpus.iter_mut().find(|(gpu, _)| gpu == index) {
                Some((_, share)) => *share += assignment.gpu_share,
                None => self.gpus.push((*index, assignment.gpu_share)),
            }
        }
    }

    pub(crate) fn remove(&mut self, assignment: &Assignment) {
        self.slots = self.slots.saturating_sub(1);
        self.memory = self.memory.saturating_sub(assignment.memory);
        for index in &assignment.gpus {
            if let Some((_, share)) = self.gpus.iter_mut().find(|(gpu, _)| gpu == index) {
                *share = share.saturating_sub(assignment.gpu_share);
            }
        }
    }

    fn share(&self, index: u32) -> u32 {
        self.gpus.iter().find(|(gpu, _)| *gpu == index).map_or(0, |(_, share)| *share)
    }

    /// Which GPUs of the node such a job gets, and how much of each; how many there would be as error.
    pub(crate) fn gpus(&self, node: &NodeView, need: GpuNeed, vram: u64) -> Result<(Vec<u32>, u32), u32> {
        match need {
            GpuNeed::None => Ok((Vec::new(), 0)),
            GpuNeed::Whole(count) => {
                let fitting = node.gpus.iter().filter(|gpu| gpu.usable && gpu.vram_bytes >= vram);
                let free: Vec<u32> = fitting.map(|gpu| gpu.index).filter(|index| self.share(*index) == 0).collect();
                if free.len() < count as usize {
                    return Err(free.len() as u32);
                }
                Ok((free[..count as usize].to_vec(), 100))
            }
            GpuNeed::Share(percent) => {
                // The fullest one that has room, so that whole ones stay whole. Memory is taken to be shared like time.
                let room = |index: u32| 100_u32.saturating_sub(self.share(index));
                let fits = |gpu: &&crate::GpuView| {
                    let left = room(gpu.index);
                    gpu.usable && left >= percent && gpu.vram_bytes / 100 * u64::from(left) >= vram
                };
                let best = node.gpus.iter().filter(fits).min_by_key(|gpu| (room(gpu.index), gpu.index));
                best.map(|gpu| (vec![gpu.index], percent)).ok_or(0)
            }
        }
    }
}

/// Whether the job only fills a slot.
pub(crate) fn fills(job: &Job) -> bool {
    job.origin == Origin::Fill
}
