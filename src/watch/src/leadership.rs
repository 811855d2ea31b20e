use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::BoxStream;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, Update};
use tokio::sync::watch;

/// Who leads, as a voter knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Raft term.
    pub term: u64,
    /// The leader in that term, if there is one.
    pub leader: Option<NodeId>,
    /// Raft's membership.
    pub voters: BTreeSet<NodeId>,
    /// Index up to which the log is committed, as far as this voter knows.
    pub committed: u64,
    /// When this voter last knew a live leader: the leader's last message, or on the leader itself its quorum's last
    /// answer. `None` if it never did.
    pub leader_seen: Option<Instant>,
}

/// Where a [`Hub`](crate::Hub) reads from: the voter's own consensus.
pub trait Source: Send + Sync + 'static {
    /// What is agreed, as far as applied here.
    fn agreed(&self) -> Arc<Agreed>;

    /// What is agreed, beginning with the entry `from_index`: entries without gaps, or a snapshot first where the entries
    /// are no longer at hand. It ends when the voter stops.
    fn subscribe(&self, from_index: u64) -> BoxStream<'static, Update>;

    /// Who leads. A change of term, leader or voters must wake the receiver; a newer [`Leadership::leader_seen`] need neither wake it
    /// nor be in it.
    fn leadership(&self) -> watch::Receiver<Leadership>;

    /// Who leads at this moment, and when it was last seen. Read at least every second.
    fn leadership_now(&self) -> Leadership;
}
