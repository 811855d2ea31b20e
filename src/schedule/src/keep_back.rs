//! Room for queued work that fits nowhere, because slots are filled.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ringrift_state::{Job, JobChange};

use crate::fit::{Score, Shape, room};
use crate::ledger::{Ledger, fills};
use crate::scheduler::Decisions;
use crate::{Scheduler, View};

/// For so many queued jobs room is kept at once.
const MAX_KEPT: usize = 16;
/// For so many filled jobs are stopped in one step.
const MAX_PREEMPTED: usize = 8;

impl Scheduler {
    /// Chooses for each job a node where it would fit if nothing were filled there. That node is filled no further, so filled
    /// work holds the job up for no longer than its runs; and when the job has waited for long enough, those runs are stopped.
    pub(crate) fn keep_back(
        &mut self,
        now: Duration,
        view: &View<'_>,
        ledger: &Ledger<'_>,
        unplaced: &[&Arc<Job>],
        out: &mut Decisions,
    ) -> HashSet<usize> {
        let mut kept = HashSet::new();
        if unplaced.is_empty() {
            return kept;
        }
        let asked = Ledger::of(view.nodes, view.jobs, |job| !fills(job));
        let mut hopeless: HashSet<Shape> = HashSet::new();
        let mut preempted = 0;
        for job in unplaced {
            if kept.len() >= MAX_KEPT {
                break;
            }
            let shape = Shape::of(job);
            if hopeless.contains(&shape) {
                continue;
            }
            let choices = view.nodes.iter().enumerate().filter(|(at, node)| {
                !kept.contains(at)
                    && job.pinned.as_ref().is_none_or(|pinned| *pinned == node.id)
                    && self.may_have(now, job, &node.id, view)
            });
            let fitting = choices.filter_map(|(at, node)| {
                let (needs, _) = shape.fits(node, asked.used(at), &self.strikes, now).ok()?;
                let trusted = self.strikes.none(&node.id, &shape.class);
                Some((Score::of(node, at, asked.used(at), needs, trusted), at))
            });
            let Some((_, at)) = fitting.max() else {
                if job.pinned.is_none() && job.avoid.is_empty() {
                    hopeless.insert(shape);
                }
                continue;
            };
            kept.insert(at);
            let long = view.settings.preempt_after.is_some_and(|after| self.waiting.time(now, job) >= after);
            if long && preempted < MAX_PREEMPTED {
                preempted += self.preempt(now, view, ledger, job, at, out);
            }
        }
        kept
    }

    /// Stops as many filled jobs of the node as the job needs; answers with their number.
    fn preempt(
        &mut self,
        now: Duration,
        view: &View<'_>,
        ledger: &Ledger<'_>,
        job: &Job,
        at: usize,
        out: &mut Decisions,
    ) -> usize {
        let node = &view.nodes[at];
        let Ok(needs) = Shape::of(job).standing(node, &self.strikes, now) else { return 0 };
        let mut used = ledger.used(at).clone();
        let (mut leaving, mut filled): (Vec<_>, Vec<_>) =
            view.jobs.held_by(&node.id).filter(|job| fills(job)).partition(|job| !job.is_wanted());
        // The youngest has the least to lose.
        filled.sort_by_key(|job| std::cmp::Reverse((job.submitted_index, job.submitted_position)));
        let already = leaving.len();
        leaving.append(&mut filled);
        let mut stopped = 0;
        for (filled, place) in leaving.into_iter().zip(0..) {
            if room(node, &used, needs).is_ok() {
                break;
            }
            if let Some(assignment) = filled.assignment() {
                used.remove(assignment);
            }
            if place >= already && !self.in_flight.has(&filled.id) {
                let reason = format!("{} needs its place", job.id);
                self.in_flight.changed(filled, now);
                out.changes.push(JobChange::Recall { job: filled.id.clone(), attempt: filled.attempt, reason });
                stopped += 1;
            }
        }
        stopped
    }
}
