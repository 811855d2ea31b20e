use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

/// What is held of a member. The order is the precedence within one incarnation: the later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Named by the hosts file or a seed, never heard of.
    Unseen,
    /// It answers, or somebody whom we hear vouches for it.
    Alive,
    /// It did not answer somebody; it has a few seconds to object.
    Suspect,
    /// It did not object.
    Dead,
    /// It said goodbye.
    Left,
}

impl State {
    /// Whether jobs and messages may be given to it: alive or suspect. A suspect is innocent until it is dead.
    pub fn is_present(self) -> bool {
        matches!(self, Self::Alive | Self::Suspect)
    }

    /// `alive`, `suspect` …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A member as this node sees it.
#[derive(Debug, Clone)]
pub struct Member<F> {
    /// Its id.
    pub id: NodeId,
    /// The run of its program; 0 while it is unseen.
    pub instance: u64,
    /// Raised by the member itself whenever it contradicts what is said of it.
    pub incarnation: u64,
    /// Whether it is alive.
    pub state: State,
    /// What it tells of itself; of a dead one the last that was heard.
    pub facts: Option<Arc<F>>,
    /// When it was last known to be alive, at first or second hand; of this node itself the time of publication.
    pub last_seen: Option<Instant>,
    /// Since when it is in this state.
    pub since: Instant,
    /// Round trip to it, smoothed; measured every few seconds to watched nodes, every few minutes to others.
    pub rtt: Option<Duration>,
    /// When its facts changed here.
    pub facts_at: Option<Instant>,
    /// Its wall clock minus ours in milliseconds, accurate to half of the round trip.
    pub clock_offset_ms: Option<i64>,
    /// Who accused it, while it is suspect.
    pub accuser: Option<NodeId>,
    /// Whether the hosts file names it; such members are never forgotten.
    pub known: bool,
}

/// All members at one moment, this node included, ordered by id.
#[derive(Debug, Clone)]
pub struct Table<F> {
    own: usize,
    rows: Vec<Arc<Member<F>>>,
}

impl<F> Table<F> {
    /// A table of `rows`, which are ordered by id and contain `own`.
    pub(crate) fn new(own: &NodeId, rows: Vec<Arc<Member<F>>>) -> Self {
        let own = rows.binary_search_by(|m| m.id.cmp(own)).expect("this node is a member");
        Self { own, rows }
    }

    /// The rows as they are shared with the next table.
    pub(crate) fn shared(&self) -> &[Arc<Member<F>>] {
        &self.rows
    }

    /// The member with this id.
    pub fn get(&self, id: &NodeId) -> Option<&Member<F>> {
        self.rows.binary_search_by(|m| m.id.cmp(id)).ok().map(|i| &*self.rows[i])
    }

    /// This node.
    pub fn own(&self) -> &Member<F> {
        &self.rows[self.own]
    }

    /// All members by id, this node included.
    pub fn iter(&self) -> impl Iterator<Item = &Member<F>> {
        self.rows.iter().map(|m| &**m)
    }

    /// All other members by id.
    pub fn others(&self) -> impl Iterator<Item = &Member<F>> {
        self.rows.iter().enumerate().filter(|(i, _)| *i != self.own).map(|(_, m)| &**m)
    }

    /// How many members there are, this node and dead ones included.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never: this node is a member.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
