//! The work queue: what people and programs asked for, in the order in which it is placed.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::GameConfig;
use ringrift_state::Job;

use crate::candidates::{Candidates, Table};
use crate::fit::Shape;
use crate::ledger::{Ledger, fills};
use crate::scheduler::Decisions;
use crate::{Scheduler, View};

impl Scheduler {
    /// Places what can be placed; answers with the rest, in order, or with nothing when it did not come to the end.
    pub(crate) fn place_queued<'v>(
        &mut self,
        now: Duration,
        view: &View<'v>,
        ledger: &mut Ledger<'v>,
        out: &mut Decisions,
    ) -> Option<Vec<&'v Arc<Job>>> {
        let mut unplaced = Vec::new();
        let mut by_shape: HashMap<Shape, Candidates<'v>> = HashMap::new();
        let mut room_left = view.settings.max_placements;
        for job in self.queue(now, view) {
            let may = |node: &NodeId| self.may_have(now, job, node, view);
            let shape = Shape::of(job);
            let picked = if let Some(pinned) = &job.pinned {
                self.pinned(now, &shape, pinned, view, ledger)
                    .filter(|_| may(pinned))
                    .map(|found| (found, Arc::default()))
            } else {
                let candidates = by_shape
                    .entry(shape)
                    .or_insert_with_key(|shape| Candidates::of(shape, view.nodes, ledger, &self.strikes, now));
                let table: Arc<Table> = Arc::clone(candidates.table());
                candidates.pick(view.nodes, ledger, may).map(|found| (found, table))
            };
            match picked {
                Some((assignment, table)) if room_left > 0 => {
                    let slots = slots(view, ledger, &assignment);
                    ledger.add(&assignment);
                    self.place(now, (&job.id, job.attempt.saturating_add(1)), assignment, slots, table, out);
                    room_left -= 1;
                }
                // It has its place, and gets it the next time.
                Some(_) => return None,
                None => unplaced.push(job),
            }
        }
        Some(unplaced)
    }

    /// Those that may start now, in order: by priority; then those of underserved configurations; then the configurations in
    /// turn, so that a thousand jobs of one do not hold up the first of another; then as they came.
    pub(crate) fn queue<'v>(&self, now: Duration, view: &View<'v>) -> Vec<&'v Arc<Job>> {
        let mut queue: Vec<&Arc<Job>> =
            view.jobs.live().filter(|job| !fills(job) && self.may_start(now, job, view)).collect();
        if queue.is_empty() {
            return queue;
        }
        let mut turns: HashMap<(i32, Option<GameConfig>), u32> = HashMap::new();
        for job in view.jobs.live().filter(|job| !fills(job) && job.assignment().is_some()) {
            *turns.entry((job.priority, job.game)).or_default() += 1;
        }
        queue.sort_by_cached_key(|job| job.queue_order());
        queue.sort_by_cached_key(|job| {
            let turn = turns.entry((job.priority, job.game)).or_default();
            *turn += 1;
            let served = job.game.is_none_or(|game| !view.underserved.contains(&game));
            (Reverse(job.priority), served, *turn)
        });
        queue
    }

    /// Whether nothing but room is missing.
    fn may_start(&self, now: Duration, job: &Job, view: &View<'_>) -> bool {
        job.is_pending()
            && self.waiting.time(now, job) >= view.settings.backoff(job)
            && !self.in_flight.has(&job.id)
            && view.jobs.waits_for(job).is_none()
    }

    /// Whether the job does not keep away from the node. It keeps away from one that gave it back only while there is another
    /// that could have it, be it full at present.
    pub(crate) fn may_have(&self, now: Duration, job: &Job, node: &NodeId, view: &View<'_>) -> bool {
        let alone = job.pinned.as_ref() == Some(node);
        alone
            || !job.avoid.contains(node)
            || self.waiting.time(now, job) >= view.settings.avoid
            || !self.is_for_others(now, job, view)
    }

    fn is_for_others(&self, now: Duration, job: &Job, view: &View<'_>) -> bool {
        let shape = Shape::of(job);
        let mut others = view.nodes.iter().filter(|node| !job.avoid.contains(&node.id));
        others.any(|node| node.slots > 0 && shape.standing(node, &self.strikes, now).is_ok())
    }

    fn pinned(
        &self,
        now: Duration,
        shape: &Shape,
        id: &NodeId,
        view: &View<'_>,
        ledger: &Ledger<'_>,
    ) -> Option<ringrift_state::Assignment> {
        let at = ledger.at(id)?;
        shape.fits(&view.nodes[at], ledger.used(at), &self.strikes, now).ok().map(|(_, assignment)| assignment)
    }
}

/// How many jobs the node of an assignment takes at once.
pub(crate) fn slots(view: &View<'_>, ledger: &Ledger<'_>, assignment: &ringrift_state::Assignment) -> u32 {
    assignment.holder.place().and_then(|node| ledger.at(node)).map_or(0, |at| view.nodes[at].slots)
}
