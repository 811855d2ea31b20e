//! The events of jobs. Those that fill idle slots are many: of them only failures and moves are told.

use ringrift_config::NodeId;
use ringrift_job::JobId;
use serde_json::{Value, json};

use super::{Job, Origin};
use crate::{NewEvent, kind};

/// What is to be told of a batch.
#[derive(Default)]
pub(super) struct Notes(Vec<Note>);

struct Note {
    kind: &'static str,
    job: JobId,
    node: Option<NodeId>,
    message: String,
    details: Value,
}

impl Notes {
    /// So many of one kind are events of their own; the rest of a batch is told as one.
    const SINGLE: usize = 8;
    /// So many are named in that one.
    const NAMED: usize = 64;

    /// Tells what happened to a job, as it is now.
    pub(super) fn add(&mut self, kind: &'static str, job: &Job, node: Option<&NodeId>, message: String) {
        let told_of_fill = matches!(kind, kind::JOB_FAILED | kind::JOB_MOVED);
        if job.origin == Origin::Fill && !told_of_fill {
            return;
        }
        let details = json!({
            "job_id": job.id,
            "job_type": job.class,
            "kind": job.kind,
            "status": job.phase.as_str(),
            "attempt": job.attempt,
            "config_key": job.game,
            "reason": job.reason,
        });
        self.0.push(Note { kind, job: job.id.clone(), node: node.cloned(), message, details });
    }

    pub(super) fn events(self, at_ms: u64) -> impl Iterator<Item = NewEvent> {
        let mut kinds: Vec<&'static str> = Vec::new();
        for note in &self.0 {
            if !kinds.contains(&note.kind) {
                kinds.push(note.kind);
            }
        }
        let mut notes = self.0;
        kinds.into_iter().flat_map(move |kind| {
            let (mut own, rest): (Vec<_>, Vec<_>) = notes.drain(..).partition(|note| note.kind == kind);
            notes = rest;
            let more = if own.len() > Self::SINGLE { own.split_off(Self::SINGLE) } else { Vec::new() };
            own.into_iter().map(move |note| note.event(at_ms)).chain(summary(kind, &more, at_ms)).collect::<Vec<_>>()
        })
    }

    /// A batch of new jobs: one event for all of them.
    pub(super) fn submitted(jobs: &[&Job], by: &str, at_ms: u64) -> Option<NewEvent> {
        let asked: Vec<&&Job> = jobs.iter().filter(|job| job.origin != Origin::Fill).collect();
        let first = asked.first()?;
        let who = if by.is_empty() { String::new() } else { format!(", by {by}") };
        let message = match asked.len() {
            1 => format!("{} is submitted{who}", first.id),
            more => format!("{more} jobs are submitted, {} the first of them{who}", first.id),
        };
        let named: Vec<&JobId> = asked.iter().take(Self::NAMED).map(|job| &job.id).collect();
        let event = NewEvent::new(kind::JOB_SUBMITTED, message, at_ms)
            .with("job_id", first.id.as_str())
            .with("job_type", first.class.as_str())
            .with("job_ids", json!(named))
            .with("count", asked.len())
            .with("by", by);
        Some(event)
    }
}

impl Note {
    fn event(self, at_ms: u64) -> NewEvent {
        let event = NewEvent::new(self.kind, self.message, at_ms);
        let details = match self.details {
            Value::Object(map) => map.into_iter().collect(),
            // It is made as one.
            other => unreachable!("the details of an event are an object, not {other:?}"),
        };
        NewEvent { node: self.node, details, ..event }
    }
}

fn summary(kind: &str, more: &[Note], at_ms: u64) -> Option<NewEvent> {
    let first = more.first()?;
    let message = match more.len() {
        1 => first.message.clone(),
        count => format!("the same of {count} more jobs, among them: {}", first.message),
    };
    let named: Vec<&JobId> = more.iter().take(Notes::NAMED).map(|note| &note.job).collect();
    Some(NewEvent::new(kind, message, at_ms).with("job_ids", json!(named)).with("count", more.len()))
}
