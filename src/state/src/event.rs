use std::collections::BTreeMap;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Particulars of an event, by name.
pub type Details = BTreeMap<String, Value>;

/// The names of events. Clients match on them, so they never change.
pub mod kind {
    /// A node was heard of for the first time.
    pub const NODE_JOINED: &str = "NODE_JOINED";
    /// A node that was dead or had left is back.
    pub const NODE_ALIVE: &str = "NODE_ALIVE";
    /// A node is judged dead.
    pub const NODE_DEAD: &str = "NODE_DEAD";
    /// A node said goodbye.
    pub const NODE_LEFT: &str = "NODE_LEFT";
    /// No new work for a node.
    pub const NODE_CORDONED: &str = "NODE_CORDONED";
    /// A node gets work again.
    pub const NODE_UNCORDONED: &str = "NODE_UNCORDONED";
    /// No new work for a node, and its work is moved away.
    pub const NODE_DRAINING: &str = "NODE_DRAINING";
    /// A node leads.
    pub const LEADER_ELECTED: &str = "LEADER_ELECTED";
    /// Another set of voters is in force.
    pub const VOTERS_CHANGED: &str = "VOTERS_CHANGED";
    /// A saved state replaced the present one.
    pub const STATE_RESTORED: &str = "STATE_RESTORED";
    /// The cluster got its id.
    pub const CLUSTER_FORMED: &str = "CLUSTER_FORMED";
    /// The cluster came back from a lost majority under a new id.
    pub const CLUSTER_RECOVERED: &str = "CLUSTER_RECOVERED";
    /// Other bytes became the model of a name.
    pub const MODEL_PROMOTED: &str = "MODEL_PROMOTED";
    /// A name of a model was taken away.
    pub const MODEL_REMOVED: &str = "MODEL_REMOVED";
    /// A file that a program wrote over an outdated version was moved out of the way.
    pub const MODEL_SET_ASIDE: &str = "MODEL_SET_ASIDE";
    /// A model begins to go to all nodes.
    pub const MODEL_DISTRIBUTION_STARTED: &str = "MODEL_DISTRIBUTION_STARTED";
    /// Every eligible node has verified a model.
    pub const MODEL_DISTRIBUTION_COMPLETE: &str = "MODEL_DISTRIBUTION_COMPLETE";
    /// Some eligible node did not get a model in time.
    pub const MODEL_DISTRIBUTION_FAILED: &str = "MODEL_DISTRIBUTION_FAILED";
    /// New jobs are in the queue.
    pub const JOB_SUBMITTED: &str = "JOB_SUBMITTED";
    /// An attempt at a job runs.
    pub const JOB_STARTED: &str = "JOB_STARTED";
    /// A job did what it was for.
    pub const JOB_ENDED: &str = "JOB_ENDED";
    /// An attempt at a job failed; whether it was the last is in the details' `status`.
    pub const JOB_FAILED: &str = "JOB_FAILED";
    /// A job was taken from its holder, to go elsewhere.
    pub const JOB_MOVED: &str = "JOB_MOVED";
    /// A job was ended because somebody did not want it any more.
    pub const JOB_CANCELLED: &str = "JOB_CANCELLED";
    /// A holder gave a job back.
    pub const JOB_REFUSED: &str = "JOB_REFUSED";
    /// A job has other limits.
    pub const JOB_LIMITED: &str = "JOB_LIMITED";
    /// A safety net of a node has caught something.
    pub const JOB_SAFETY_NET: &str = "JOB_SAFETY_NET";
    /// A node gave back so many jobs of a class that it gets none of it for a while.
    pub const JOB_DISPATCH_FAILED: &str = "JOB_DISPATCH_FAILED";
    /// More jobs are in the queue than the soft limit says.
    pub const WORK_QUEUE_LONG: &str = "WORK_QUEUE_LONG";
    /// New jobs are refused, because too many are in the queue.
    pub const WORK_QUEUE_FULL: &str = "WORK_QUEUE_FULL";
}

/// An event before it has its sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct NewEvent {
    /// `UPPER_SNAKE` name, for example [`kind::NODE_DEAD`].
    pub kind: String,
    /// The node that it is about.
    pub node: Option<NodeId>,
    /// A sentence for people.
    pub message: String,
    /// Wall clock of the proposer, milliseconds since the epoch.
    pub at_ms: u64,
    /// Particulars for programs.
    pub details: Details,
}

impl NewEvent {
    /// The longest message kept, in bytes.
    pub const MAX_MESSAGE: usize = 1024;
    /// The largest details kept, in bytes of text and 8 for each number.
    pub const MAX_DETAILS: usize = 8192;
    /// How deep the details may be nested. `MessagePack` readers give up at some depth, and in a snapshot the details lie
    /// deeper than in the command that brought them: without this bound a snapshot could be written that nobody reads.
    pub const MAX_DEPTH: usize = 16;

    /// An event about the cluster, without details.
    pub fn new(kind: &str, message: impl Into<String>, at_ms: u64) -> Self {
        Self { kind: kind.to_owned(), message: message.into(), at_ms, ..Self::default() }
    }

    /// The same event, about `node`.
    #[must_use]
    pub fn about(mut self, node: &NodeId) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// The same event with one more particular.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The event of an election.
    pub fn leader_elected(leader: &NodeId, term: u64, at_ms: u64) -> Self {
        Self::new(kind::LEADER_ELECTED, format!("{leader} leads in term {term}"), at_ms)
            .about(leader)
            .with("term", term)
    }

    /// Cuts what is too long: the log must stay bounded whatever a proposer sends.
    #[must_use]
    pub(crate) fn bounded(mut self) -> Self {
        self.kind = shorten(self.kind, 64);
        self.message = shorten(self.message, Self::MAX_MESSAGE);
        if details_size(&self.details) > Self::MAX_DETAILS {
            let why = format!("more than {} bytes or {} levels", Self::MAX_DETAILS, Self::MAX_DEPTH);
            self.details = Details::from([("omitted".to_owned(), Value::from(why))]);
        }
        self
    }

    /// About how many bytes the event takes, wherever it is kept.
    pub(crate) fn size(&self) -> usize {
        64 + self.kind.len() + self.message.len() + details_size(&self.details)
    }
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number, from 1, without gaps.
    pub seq: u64,
    /// What happened.
    pub event: NewEvent,
}

impl Event {
    /// The event as clients read it: `{seq, type, timestamp, node_id, message, details}`, the timestamp in seconds since
    /// the epoch.
    pub fn to_json(&self) -> Value {
        let NewEvent { kind, node, message, at_ms, details } = &self.event;
        serde_json::json!({
            "seq": self.seq,
            "type": kind,
            "timestamp": *at_ms as f64 / 1000.0,
            "node_id": node,
            "message": message,
            "details": details,
        })
    }
}

/// The text, cut at a character's edge to at most `max` bytes.
pub(crate) fn shorten(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mark = "…";
        let mut end = max.saturating_sub(mark.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(mark);
    }
    text
}

fn details_size(details: &Details) -> usize {
    details.iter().fold(0, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value_size(value, 1)))
}

fn value_size(value: &Value, depth: usize) -> usize {
    if depth > NewEvent::MAX_DEPTH {
        return usize::MAX;
    }
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().fold(2, |sum, item| sum.saturating_add(value_size(item, depth + 1))),
        Value::Object(map) => map.iter().fold(2, |sum: usize, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value_size(value, depth + 1))
        }),
    }
}
