//! What is agreed upon? The replicated types and their pure `apply`.

use std::collections::{BTreeMap, VecDeque};

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

/// Where a committed entry stands in the log: what `apply` may know besides the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryMeta {
    /// Raft term in which the entry was proposed.
    pub term: u64,
    /// Index in the log; strictly increasing by one.
    pub index: u64,
}

/// A change that the voters agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Keeps new work away from a node, or lets it come again.
    SetEligibility {
        /// The node.
        node: NodeId,
        /// What it may do from now on.
        eligibility: Eligibility,
        /// Who asked, for the event log.
        by: String,
        /// Why, for the event log.
        reason: String,
        /// The proposer's wall clock, milliseconds since the epoch; shown, never compared.
        at_ms: u64,
    },
    /// Records something that happened.
    Record {
        /// What happened.
        event: NewEvent,
    },
}

/// Whether a node is given work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Eligibility {
    /// New work may come.
    #[default]
    Eligible,
    /// No new work; what runs there runs on.
    Cordoned,
    /// No new work; what runs there is moved away.
    Draining,
}

/// An event before it has its sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewEvent {
    /// `UPPER_SNAKE` name, for example `NODE_DEAD`.
    pub kind: String,
    /// The node that it is about.
    pub node: Option<NodeId>,
    /// A sentence for people.
    pub message: String,
    /// Wall clock of the proposer, milliseconds since the epoch.
    pub at_ms: u64,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Sequence number, from 1, without gaps.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: NewEvent,
}

/// Everything that the voters agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ClusterState {
    /// Nodes that are not simply eligible.
    pub eligibility: BTreeMap<NodeId, Eligibility>,
    /// The newest events, oldest first, at most [`ClusterState::MAX_EVENTS`].
    pub events: VecDeque<Event>,
    /// Sequence number of the newest event ever recorded; 0 when there was none.
    pub last_seq: u64,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It changed nothing: the state already was so.
    Unchanged,
}

impl ClusterState {
    /// How many events are kept.
    pub const MAX_EVENTS: usize = 4096;

    /// Applies one committed command. Pure: the same state, entry and command give the same result on every node.
    pub fn apply(&mut self, _entry: EntryMeta, command: &Command) -> Outcome {
        match command {
            Command::SetEligibility { node, eligibility, .. } => {
                let old = self.eligibility.insert(node.clone(), *eligibility).unwrap_or_default();
                if old == *eligibility { Outcome::Unchanged } else { Outcome::Done }
            }
            Command::Record { event } => {
                self.last_seq += 1;
                if self.events.len() == Self::MAX_EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(Event { seq: self.last_seq, event: event.clone() });
                Outcome::Done
            }
        }
    }
}

/// The agreed state and the place in the log up to which it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Agreed {
    /// Index of the last applied entry; 0 before the first.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// Which cluster this is; made once at formation and again by a recovery from a lost majority. Empty before the first entry.
    pub cluster_id: String,
    /// The state after that entry.
    pub state: ClusterState,
}

/// What a reader of the agreed state is sent, in log order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// Begin anew from here.
    Snapshot(std::sync::Arc<Agreed>),
    /// The next committed command.
    Entry {
        /// Where it stands in the log.
        meta: EntryMeta,
        /// What to apply.
        command: Command,
    },
    /// A log entry that carries no command (a new leader's first entry, a voter change): only the index moves on.
    Blank(EntryMeta),
}
