use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::JobId;
use ringrift_state::{Job, Phase};

use crate::fit::Shape;
use crate::ledger::fills;
use crate::{PassedOver, Scheduler, View};

/// Why a job is where it is, or why it is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The job.
    pub job: JobId,
    /// The answer in a sentence.
    pub summary: String,
    /// What was decided of each node. Of a job that is placed as it was then, and not more than 64 of them.
    pub nodes: Vec<(NodeId, Verdict)>,
    /// How many more were passed over.
    pub more: usize,
}

/// What was decided of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The job went there.
    Chosen,
    /// It would fit there.
    Possible,
    /// Not this one.
    PassedOver(PassedOver),
}

impl Scheduler {
    /// Answers for a job that is known.
    pub fn why(&self, now: Duration, job: &JobId, view: &View<'_>) -> Option<Why> {
        let job = view.jobs.get(job)?;
        let why = |summary: String, nodes, more| Some(Why { job: job.id.clone(), summary, nodes, more });
        match &job.phase {
            Phase::Ended { .. } => why(job.reason.clone(), Vec::new(), 0),
            Phase::Pending => {
                let nodes = self.verdicts(now, job, view);
                why(self.waits(now, job, view, &nodes), nodes, 0)
            }
            Phase::Placed { assignment } | Phase::Running { assignment, .. } => {
                let chosen = assignment.holder.place().map(|node| (node.clone(), Verdict::Chosen));
                let mut nodes: Vec<_> = chosen.into_iter().collect();
                let (mut summary, mut more) = (job.reason.clone(), 0);
                match self.decisions.of(job) {
                    None if fills(job) => summary.push_str(": the slot was idle"),
                    None => summary.push_str("; another leader decided that, or it was long ago"),
                    Some(decision) => {
                        let table = &decision.table;
                        if table.possible > 1 {
                            let others = table.possible - 1;
                            summary = format!("{summary}: it had the most room of {} that fit", others + 1);
                        }
                        let passed =
                            |(node, why): &(NodeId, PassedOver)| (node.clone(), Verdict::PassedOver(why.clone()));
                        nodes.extend(table.passed.iter().map(passed));
                        more = table.more;
                    }
                }
                why(summary, nodes, more)
            }
        }
    }

    fn verdicts(&self, now: Duration, job: &Job, view: &View<'_>) -> Vec<(NodeId, Verdict)> {
        let (ledger, shape) = (self.ledger(view), Shape::of(job));
        let verdict = |(at, node): (usize, &crate::NodeView)| {
            let passed = match &job.pinned {
                Some(pinned) if *pinned != node.id => Some(PassedOver::PinnedTo(pinned.clone())),
                _ => match shape.fits(node, ledger.used(at), &self.strikes, now) {
                    Err(why) => Some(why),
                    Ok(_) => (!self.may_have(now, job, &node.id, view)).then_some(PassedOver::GaveBack),
                },
            };
            (node.id.clone(), passed.map_or(Verdict::Possible, Verdict::PassedOver))
        };
        view.nodes.iter().enumerate().map(verdict).collect()
    }

    fn waits(&self, now: Duration, job: &Job, view: &View<'_>, nodes: &[(NodeId, Verdict)]) -> String {
        if let Some(needed) = view.jobs.waits_for(job) {
            let how = view.jobs.get(needed).map_or("not known", |job| job.phase.as_str());
            return format!("it waits for {needed}, which is {how}");
        }
        let left = view.settings.backoff(job).saturating_sub(self.waiting.time(now, job));
        if !left.is_zero() {
            return format!("{}; the next attempt begins in {} s", job.reason, left.as_secs().max(1));
        }
        match nodes.iter().filter(|(_, verdict)| *verdict == Verdict::Possible).count() {
            0 if nodes.is_empty() => "no node is known".to_owned(),
            0 => format!("none of {} nodes can have it at present", nodes.len()),
            1 => "it is about to be placed: one node fits".to_owned(),
            count => format!("it is about to be placed: {count} nodes fit"),
        }
    }
}
