use std::collections::HashMap;
use std::time::Duration;

use ringrift_config::NodeId;
use ringrift_job::{ClassName, How};
use ringrift_state::{Job, JobOutcome, Jobs, NewEvent, Origin, Phase, kind};

use crate::Settings;
use crate::settings::doubled;

/// Which nodes give back which classes again and again.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    by: HashMap<NodeId, HashMap<ClassName, Strike>>,
    /// Log index up to which attempts were looked at; none for a leader that has just begun: what was before is not held
    /// against anybody.
    seen: Option<u64>,
}

#[derive(Debug)]
struct Strike {
    count: u32,
    at: Duration,
    blocked_until: Option<Duration>,
    why: String,
}

impl Strikes {
    /// One that is so old counts no more.
    const MEMORY: Duration = Duration::from_hours(1);
    /// A node is never passed over for longer.
    const LONGEST: Duration = Duration::from_mins(30);
    /// A filled job that failed within that did not do anything worth the start.
    const TOO_SHORT_MS: u64 = 60_000;

    /// Looks at the attempts that ended since the last time, and tells of the nodes that get no more for a while.
    pub(crate) fn learn(&mut self, now: Duration, jobs: &Jobs, settings: &Settings, events: &mut Vec<NewEvent>) {
        let newest = jobs.iter().map(|job| job.changed_index).max().unwrap_or(0);
        let Some(seen) = self.seen.replace(newest.max(self.seen.unwrap_or(0))) else { return };
        if newest <= seen {
            return;
        }
        self.by.retain(|_, classes| {
            classes.retain(|_, strike| now.saturating_sub(strike.at) < Self::MEMORY);
            !classes.is_empty()
        });
        for job in jobs.iter().filter(|job| job.changed_index > seen && job.assignment().is_none()) {
            let Some(last) = job.attempts.last().filter(|last| last.attempt == job.attempt) else { continue };
            let Some(node) = last.holder.node() else { continue };
            if last.refused || failed_at_once(job) {
                let fresh = || Strike { count: 0, at: now, blocked_until: None, why: String::new() };
                let classes = self.by.entry(node.clone()).or_default();
                let strike = classes.entry(job.class.clone()).or_insert_with(fresh);
                // What it gave back before it was passed over is part of the same trouble.
                if strike.blocked_until.is_some_and(|until| now < until) {
                    continue;
                }
                strike.count += 1;
                strike.at = now;
                last.why.clone_into(&mut strike.why);
                if strike.count >= settings.strikes {
                    let time = doubled(settings.block, strike.count - settings.strikes + 1).min(Self::LONGEST);
                    strike.blocked_until = Some(now + time);
                    events.push(dispatch_failed(node, job, strike, time));
                }
            } else if last.ended.as_ref().is_some_and(|ending| ending.how.is_success()) {
                self.by.get_mut(node).and_then(|classes| classes.remove(&job.class));
            }
        }
    }

    /// Whether the node has not given back any of the class lately. One that gives everything back is always the emptiest, and
    /// would draw to it whatever comes.
    pub(crate) fn none(&self, node: &NodeId, class: &ClassName) -> bool {
        self.by.get(node).is_none_or(|classes| !classes.contains_key(class))
    }

    /// Why the node gets nothing of the class, and for how long yet.
    pub(crate) fn blocked(&self, node: &NodeId, class: &ClassName, now: Duration) -> Option<(&str, Duration)> {
        let strike = self.by.get(node)?.get(class)?;
        let left = strike.blocked_until?.checked_sub(now).filter(|left| !left.is_zero())?;
        Some((&strike.why, left))
    }
}

fn failed_at_once(job: &Job) -> bool {
    let Phase::Ended { outcome: JobOutcome::Failed, ending: Some(ending), .. } = &job.phase else { return false };
    job.origin == Origin::Fill && ending.how != How::Stopped && ending.ran_ms < Strikes::TOO_SHORT_MS
}

fn dispatch_failed(node: &NodeId, job: &Job, strike: &Strike, time: Duration) -> NewEvent {
    let (class, seconds) = (&job.class, time.as_secs());
    let message = format!(
        "{node} gets no {class} jobs for {seconds} s: {} in a row did not work out there; the last, {}, {}",
        strike.count, job.id, strike.why
    );
    NewEvent::new(kind::JOB_DISPATCH_FAILED, message, 0)
        .about(node)
        .with("job_type", class.as_str())
        .with("job_id", job.id.as_str())
        .with("count", strike.count)
        .with("seconds", seconds)
        .with("reason", strike.why.as_str())
}
