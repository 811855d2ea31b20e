//! Two live machines with one node id. The second is refused wherever it is met, but an operator must learn that there are
//! two: who met them tells it by gossip, and the leader writes it down.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ringrift_config::NodeId;

/// The event that the leader writes down.
pub(crate) const NODE_ID_CONFLICT: &str = "NODE_ID_CONFLICT";

/// How long a meeting is told. A machine whose service starts it again every half a minute is told of without a break.
const TOLD_FOR: Duration = Duration::from_mins(2);

/// The most ids told of: the facts of a node must stay small.
const MAX: usize = 8;

/// What this node itself has met.
#[derive(Debug, Default)]
pub(crate) struct Conflicts(Mutex<BTreeMap<NodeId, (Instant, String)>>);

impl Conflicts {
    /// A second machine that came with `node`'s id was refused.
    pub(crate) fn refused(&self, node: &NodeId, holder: &str, newcomer: &str) {
        // Its port is another one each time that it tries.
        let newcomer = newcomer
            .parse::<SocketAddr>()
            .map_or_else(|_| newcomer.to_owned(), |addr| addr.ip().to_canonical().to_string());
        self.note(
            node,
            format!("two machines run as {node}: the one at {holder} stays, the one at {newcomer} was refused"),
        );
    }

    /// Gossip brought word of another running program with this node's own id.
    pub(crate) fn rival(&self, node: &NodeId, instance: u64) {
        self.note(
            node,
            format!("two machines run as {node}: another program than this one does too (instance {instance:016x})"),
        );
    }

    fn note(&self, node: &NodeId, sentence: String) {
        let mut met = self.met();
        if met.len() < MAX || met.contains_key(node) {
            met.insert(node.clone(), (Instant::now(), sentence));
        }
    }

    /// What is told now.
    pub(crate) fn told(&self) -> BTreeMap<NodeId, String> {
        let mut met = self.met();
        met.retain(|_, (at, _)| at.elapsed() < TOLD_FOR);
        met.iter().map(|(node, (_, sentence))| (node.clone(), sentence.clone())).collect()
    }

    fn met(&self) -> MutexGuard<'_, BTreeMap<NodeId, (Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
