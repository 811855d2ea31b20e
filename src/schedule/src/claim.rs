use std::collections::BTreeSet;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::{ClassName, Kind};
use ringrift_state::{Assignment, Holder, JobChange};

use crate::fit::room;
use crate::{Scheduler, View};

/// A worker that comes and asks for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What it calls itself.
    pub worker: String,
    /// The node that it is on, if it is one of ours: it then uses up a slot there.
    pub node: Option<NodeId>,
    /// The kinds of work that it takes; none for all.
    pub kinds: BTreeSet<Kind>,
    /// The classes that it takes; none for all.
    pub classes: BTreeSet<ClassName>,
}

impl Scheduler {
    /// The first job of the queue that the worker may have. When the change is agreed and the job's holder is this worker, the
    /// job is its own.
    ///
    /// On a node of ours the class must have room there; elsewhere the worker answers for what it takes, and no GPU is counted.
    pub fn claim(&mut self, now: Duration, view: &View<'_>, claim: &Claim) -> Option<JobChange> {
        self.waiting.learn(now, view.jobs);
        self.in_flight.learn(now, view.jobs);
        let ledger = self.ledger(view);
        let at = claim.node.as_ref().and_then(|node| ledger.at(node));
        let holder = Holder::Pull { worker: claim.worker.clone(), node: claim.node.clone() };
        for job in self.queue(now, view) {
            let takes = (claim.kinds.is_empty() || claim.kinds.contains(&job.kind))
                && (claim.classes.is_empty() || claim.classes.contains(&job.class))
                && job.pinned.as_ref().is_none_or(|pinned| Some(pinned) == claim.node.as_ref())
                && claim.node.as_ref().is_none_or(|node| self.may_have(now, job, node, view));
            if !takes {
                continue;
            }
            let (assignment, slots) = match at.map(|at| (&view.nodes[at], ledger.used(at))) {
                Some((node, used)) => {
                    let eligible = node.eligibility == ringrift_state::Eligibility::Eligible;
                    let Some(needs) = node.offer.get(&job.class).filter(|_| eligible) else { continue };
                    let Ok(found) = room(node, used, needs) else { continue };
                    (Assignment { holder: holder.clone(), ..found }, node.slots)
                }
                None => (Assignment { holder: holder.clone(), gpus: Vec::new(), gpu_share: 0, memory: 0 }, u32::MAX),
            };
            let attempt = job.attempt.saturating_add(1);
            self.in_flight.placed(&job.id, attempt, now, assignment.clone());
            return Some(JobChange::Place { job: job.id.clone(), attempt, assignment, slots });
        }
        None
    }
}
