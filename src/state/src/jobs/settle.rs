//! What becomes of a job when an attempt at it is over.

use std::collections::BTreeSet;

use ringrift_config::NodeId;
use ringrift_job::{Ending, How, JobId};

use super::event::Notes;
use super::{AttemptRecord, Job, JobOutcome, Jobs, Origin, Phase};
use crate::event::shorten;
use crate::kind;

/// Why an attempt is over.
pub(super) enum Over<'a> {
    /// Its holder saw it end.
    Ended(&'a Ending),
    /// Its holder gave it back.
    Refused(&'a str),
    /// Nobody knows.
    Lost(&'a str),
}

/// When and in which entry.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) index: u64,
    pub(super) ms: u64,
}

impl Jobs {
    /// Ends the current attempt of a job that has one.
    pub(super) fn settle(&mut self, id: &JobId, over: &Over<'_>, at: At, notes: &mut Notes) {
        let mut tale = None;
        self.change(id, |job| tale = settle(job, over, at));
        if let (Some((kind, node, message)), Some(job)) = (tale, self.get(id)) {
            notes.add(kind, job, node.as_ref(), message);
        }
    }

    /// Ends a job that nobody has.
    pub(super) fn end_pending(&mut self, id: &JobId, outcome: JobOutcome, reason: &str, at: At, notes: &mut Notes) {
        self.change(id, |job| {
            let ending = job.attempts.last().and_then(|attempt| attempt.ended.clone());
            end(job, outcome, ending, reason.to_owned(), at);
        });
        if let Some(job) = self.get(id) {
            let kind = if outcome == JobOutcome::Cancelled { kind::JOB_CANCELLED } else { kind::JOB_FAILED };
            notes.add(kind, job, None, format!("{id}: {reason}"));
        }
    }

    /// Ends what waits for a job that will never succeed, and what waits for that.
    pub(super) fn fail_dependents(&mut self, at: At, notes: &mut Notes, mut failed: BTreeSet<JobId>) {
        while !failed.is_empty() {
            let hit =
                |job: &&std::sync::Arc<Job>| job.is_pending() && job.depends_on.iter().any(|id| failed.contains(id));
            let waiting: Vec<JobId> = self.live().filter(hit).map(|job| job.id.clone()).collect();
            for id in &waiting {
                let Some(job) = self.live_job(id) else { continue };
                let Some(needed) = job.depends_on.iter().find(|needed| failed.contains(*needed)) else { continue };
                let how = self.get(needed).map_or("gone", |job| job.phase.as_str());
                let reason = format!("it depends on {needed}, which is {}", how.replace('_', " "));
                self.end_pending(id, JobOutcome::Failed, &reason, at, notes);
            }
            failed = waiting.into_iter().collect();
        }
    }
}

fn settle(job: &mut Job, over: &Over<'_>, at: At) -> Option<(&'static str, Option<NodeId>, String)> {
    let holder = job.holder()?.clone();
    let node = holder.place().cloned();
    let (why, ending) = match over {
        Over::Ended(ending) => (ending.how.to_string(), Some(*ending)),
        Over::Refused(reason) => (format!("was given back: {reason}"), None),
        Over::Lost(reason) => (format!("is lost: {reason}"), None),
    };
    let refused = matches!(over, Over::Refused(_) | Over::Ended(Ending { how: How::NotStarted { .. }, .. }));
    let why = shorten(why, AttemptRecord::MAX_WHY);
    let record = AttemptRecord { attempt: job.attempt, holder, ended: ending.cloned(), refused, why, at_ms: at.ms };
    let told = format!("attempt {} on {} {}", record.attempt, record.holder, record.why);
    job.attempts.push(record);
    let surplus = job.attempts.len().saturating_sub(Job::MAX_HISTORY);
    job.attempts.drain(..surplus);
    job.changed_index = at.index;

    let ran = matches!(job.phase, Phase::Running { .. });
    let (counts, outcome) = match over {
        Over::Ended(Ending { how, .. }) => match how {
            How::Exited { code: 0 } => (true, JobOutcome::Succeeded),
            How::TimedOut => (true, JobOutcome::TimedOut),
            How::Vanished => (true, JobOutcome::Lost),
            How::NotStarted { .. } => (false, JobOutcome::Failed),
            How::Exited { .. } | How::Signalled { .. } | How::OutOfMemory | How::Stopped => (true, JobOutcome::Failed),
        },
        // One that had begun has cost its time, and would go round the whole cluster.
        Over::Refused(_) => (ran, JobOutcome::Failed),
        Over::Lost(_) => (true, JobOutcome::Lost),
    };
    let message = format!("{}: {told}", job.id);
    if outcome == JobOutcome::Succeeded {
        end(job, outcome, ending.cloned(), told, at);
        return Some((kind::JOB_ENDED, node, message));
    }
    if let Some(cancel) = &job.cancel {
        let by = if cancel.by.is_empty() { String::new() } else { format!(" by {}", cancel.by) };
        let reason = format!("cancelled{by}; {told}");
        let message = format!("{}: {reason}", job.id);
        end(job, JobOutcome::Cancelled, ending.cloned(), reason, at);
        return Some((kind::JOB_CANCELLED, node, message));
    }
    if let Some(reason) = job.recall.take() {
        if job.origin == Origin::Fill {
            end(job, JobOutcome::Cancelled, ending.cloned(), reason, at);
            return None;
        }
        let message = format!("{} goes elsewhere: {reason}", job.id);
        job.phase = Phase::Pending;
        job.retry = 0;
        job.reason = shorten(format!("moved: {reason}"), Job::MAX_REASON);
        return Some((kind::JOB_MOVED, node, message));
    }
    if job.origin == Origin::Fill {
        // The next one for that slot is made when it is needed.
        let kind = if let Over::Lost(_) = over { kind::JOB_MOVED } else { kind::JOB_FAILED };
        end(job, outcome, ending.cloned(), told, at);
        return Some((kind, node, message));
    }
    job.failures = job.failures.saturating_add(u32::from(counts));
    job.retry = job.retry.saturating_add(1);
    if job.failures >= job.max_attempts || job.retry >= Job::MAX_RETRIES {
        let reason = format!("{told}; it was the last of {} attempts", job.failures.max(job.retry));
        end(job, outcome, ending.cloned(), reason, at);
        return Some((kind::JOB_FAILED, node, message));
    }
    let kind = match over {
        _ if refused => {
            if let Some(node) = node.clone().filter(|_| job.avoid.len() < Job::MAX_AVOID) {
                job.avoid.insert(node);
            }
            kind::JOB_REFUSED
        }
        Over::Ended(_) | Over::Refused(_) => kind::JOB_FAILED,
        Over::Lost(_) => kind::JOB_MOVED,
    };
    job.phase = Phase::Pending;
    job.reason = shorten(format!("{told}; it is tried again"), Job::MAX_REASON);
    Some((kind, node, format!("{message}; it is tried again")))
}

fn end(job: &mut Job, outcome: JobOutcome, ending: Option<Ending>, reason: String, at: At) {
    job.phase = Phase::Ended { outcome, at_ms: at.ms, ending };
    job.changed_index = at.index;
    job.recall = None;
    job.reason = shorten(reason, Job::MAX_REASON);
}
