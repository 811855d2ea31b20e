use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ringrift_config::NodeId;

use crate::{
    State,
    clock::ClockOffset,
    wire::{Raw, Row},
};

/// What this node knows of one member.
#[derive(Debug, Clone)]
pub(crate) struct Record<F> {
    pub(crate) id: NodeId,
    /// Place on the ring that says who watches whom.
    pub(crate) place: u64,
    pub(crate) instance: u64,
    /// 0 while unseen.
    pub(crate) incarnation: u64,
    pub(crate) state: State,
    /// Version of `raw` within this incarnation; 0: the facts are of an earlier one, or there are none.
    pub(crate) version: u64,
    pub(crate) facts: Option<Arc<F>>,
    /// The facts as their owner encoded them, passed on unread.
    pub(crate) raw: Bytes,
    pub(crate) beat: u64,
    pub(crate) accuser: Option<NodeId>,
    /// Named by the hosts file.
    pub(crate) known: bool,
    pub(crate) since: Duration,
    pub(crate) last_seen: Option<Duration>,
    pub(crate) facts_at: Option<Duration>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) clock: ClockOffset,
    /// Present while the state is [`State::Suspect`].
    pub(crate) suspicion: Option<Suspicion>,
    /// When a member that is not present is looked for again, and the pause after that.
    pub(crate) retry_at: Duration,
    pub(crate) retry_pause: Duration,
    /// The last revision of the table in which something of it changed.
    pub(crate) touched: u64,
}

/// Why and since when somebody is suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspicion {
    /// Since when, here; restarted when this node stood still.
    pub(crate) since: Duration,
    /// This node could not reach it either. Hearsay alone kills nobody.
    pub(crate) confirmed: bool,
    /// Somebody says that it is dead, but it was alive here: the other side of a healed partition, perhaps.
    pub(crate) doubted: bool,
    /// When the suspect is asked the next time.
    pub(crate) ask_at: Duration,
}

impl<F> Record<F> {
    /// A node of which nothing but the name is known.
    pub(crate) fn unseen(id: NodeId, known: bool, now: Duration) -> Self {
        Self {
            place: place(&id),
            id,
            instance: 0,
            incarnation: 0,
            state: State::Unseen,
            version: 0,
            facts: None,
            raw: Bytes::new(),
            beat: 0,
            accuser: None,
            known,
            since: now,
            last_seen: None,
            facts_at: None,
            rtt: None,
            clock: ClockOffset::default(),
            suspicion: None,
            retry_at: now,
            retry_pause: Duration::ZERO,
            touched: 0,
        }
    }

    /// What decides which of two rows is newer. Two running programs with one id can meet at the same incarnation: all
    /// nodes must then agree on one of them.
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.incarnation, self.instance)
    }

    /// The record without facts.
    pub(crate) fn news(&self) -> Row<'_> {
        Row {
            node: self.id.as_str(),
            instance: self.instance,
            incarnation: self.incarnation,
            state: self.state,
            version: 0,
            beat: self.beat,
            accuser: self.accuser.as_ref().filter(|_| self.state == State::Suspect).map(NodeId::as_str),
            facts: None,
        }
    }

    /// The record for a digest: the version says which facts are there.
    pub(crate) fn summary(&self) -> Row<'_> {
        Row { version: self.version, accuser: None, ..self.news() }
    }

    /// The record with its facts, if it has some of this incarnation.
    pub(crate) fn in_full(&self) -> Row<'_> {
        if self.version == 0 {
            return self.news();
        }
        Row { version: self.version, facts: Some(Raw(&self.raw)), ..self.news() }
    }

    /// What the speaker lacks who has `theirs`: nothing, news, or everything.
    pub(crate) fn newer_than<'a>(&'a self, theirs: &Row<'_>) -> Option<Row<'a>> {
        let key = (theirs.incarnation, theirs.instance);
        if self.key() < key {
            None
        } else if self.version > 0 && (self.key() > key || self.version > theirs.version) {
            Some(self.in_full())
        } else if self.key() > key || self.state > theirs.state {
            Some(self.news())
        } else {
            None
        }
    }
}

impl Row<'_> {
    /// See [`Record::key`].
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.incarnation, self.instance)
    }
}

/// FNV-1a with a final mix: the same on every node and in every version, and spread over the whole ring.
fn place(id: &NodeId) -> u64 {
    let hash = id
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
