use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use ringrift_config::NodeId;

use crate::{Direction, link::Link};

/// An outbound link counts as idle only after this time, so that one that was just made for a call is not closed.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// The links of this node. Usually one for each peer; for a moment two when both ends dialled at once, or when a direct
/// way was found to a peer behind a relay.
#[derive(Debug)]
pub(crate) struct Table {
    own: NodeId,
    links: BTreeMap<NodeId, Vec<Arc<Link>>>,
}

/// What a new link means for the others to the same node.
#[derive(Debug)]
pub(crate) struct Inserted {
    /// It is the only one.
    pub(crate) first: bool,
    /// Links that this end dialled and that both ends agree to replace.
    pub(crate) replaced: Vec<Arc<Link>>,
}

/// What makes both ends prefer the same one of two links: a direct one, then the one dialled by the node whose id is
/// smaller, then the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    direct: bool,
    dialled_by_smaller: bool,
    since: Instant,
}

impl Table {
    pub(crate) fn new(own: NodeId) -> Self {
        Self { own, links: BTreeMap::new() }
    }

    fn rank(&self, link: &Link) -> Rank {
        let we_are_smaller = self.own < link.peer.node;
        Rank {
            direct: link.peer.via.is_none(),
            dialled_by_smaller: we_are_smaller == (link.direction == Direction::Outbound),
            since: link.since,
        }
    }

    /// All links to a node that have not ended.
    pub(crate) fn to(&self, node: &NodeId) -> impl Iterator<Item = &Arc<Link>> {
        self.links.get(node).into_iter().flatten().filter(|link| !link.is_closed())
    }

    /// The link that new streams to a node use.
    pub(crate) fn best(&self, node: &NodeId) -> Option<Arc<Link>> {
        self.to(node).filter(|link| !link.is_retired()).max_by_key(|link| self.rank(link)).cloned()
    }

    /// The same, unless it leads through a relay.
    pub(crate) fn best_direct(&self, node: &NodeId) -> Option<Arc<Link>> {
        self.best(node).filter(|link| link.peer.via.is_none())
    }

    /// The best link to each node.
    pub(crate) fn all_best(&self) -> impl Iterator<Item = Arc<Link>> {
        self.links.keys().filter_map(|node| self.best(node))
    }

    /// Links that have not ended, retired ones aside.
    pub(crate) fn count(&self) -> usize {
        self.links.values().flatten().filter(|link| !link.is_closed() && !link.is_retired()).count()
    }

    /// The outbound link that was idle longest.
    pub(crate) fn most_idle(&self) -> Option<Arc<Link>> {
        self.links
            .values()
            .flatten()
            .filter(|link| link.direction == Direction::Outbound && !link.is_closed() && !link.is_retired())
            .map(|link| (link.unused_for(), link))
            .filter(|(unused, _)| *unused >= IDLE_AFTER)
            .max_by_key(|(unused, _)| *unused)
            .map(|(_, link)| Arc::clone(link))
    }

    /// Adds a link, unless there is one to another process with the same node id: then that one is returned.
    pub(crate) fn insert(&mut self, link: &Arc<Link>) -> Result<Inserted, Arc<Link>> {
        let node = &link.peer.node;
        if let Some(other) = self.to(node).find(|other| other.instance != link.instance) {
            return Err(Arc::clone(other));
        }
        let links = self.links.entry(node.clone()).or_default();
        let first = links.is_empty();
        links.push(Arc::clone(link));
        let best = self.best(node);
        let replaced = self
            .to(node)
            .filter(|link| link.direction == Direction::Outbound && !link.is_retired())
            .filter(|link| best.as_ref().is_none_or(|best| !Arc::ptr_eq(best, link)))
            .cloned()
            .collect();
        Ok(Inserted { first, replaced })
    }

    /// Removes a link; returns whether it was there and was the last one to its node.
    pub(crate) fn remove(&mut self, link: &Arc<Link>) -> bool {
        let Some(links) = self.links.get_mut(&link.peer.node) else { return false };
        links.retain(|other| !Arc::ptr_eq(other, link));
        let last = links.is_empty();
        if last {
            self.links.remove(&link.peer.node);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Peer, link::Facts};

    fn node(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn link(peer: &str, direction: Direction, via: Option<&str>, instance: u64) -> Arc<Link> {
        let peer = Peer { node: node(peer), addr: ([127, 0, 0, 1], 8765).into(), via: via.map(node) };
        let facts = Facts {
            peer,
            instance,
            direction,
            software: String::new(),
            listen_port: None,
            observed: None,
            max_frame: 1,
            dialled: None,
        };
        Link::new(facts).0
    }

    #[test]
    fn both_ends_of_a_simultaneous_dial_keep_the_same_link() {
        use Direction::{Inbound, Outbound};
        for (own, peer, kept) in [("a", "b", Outbound), ("b", "a", Inbound)] {
            for order in [[Inbound, Outbound], [Outbound, Inbound]] {
                let mut table = Table::new(node(own));
                let mut replaced = Vec::new();
                for direction in order {
                    replaced.extend(table.insert(&link(peer, direction, None, 1)).unwrap().replaced);
                }
                assert_eq!(table.best(&node(peer)).unwrap().direction, kept, "{own} {order:?}");
                // Only the end that dialled the other one retires it, so exactly one end does.
                assert_eq!(replaced.len(), usize::from(kept == Inbound), "{own} {order:?}");
            }
        }
    }

    #[test]
    fn a_direct_link_is_better_than_a_relayed_one() {
        let mut table = Table::new(node("a"));
        let relayed = link("b", Direction::Outbound, Some("r"), 1);
        assert!(table.insert(&relayed).unwrap().first);
        assert!(table.best_direct(&node("b")).is_none());
        let direct = link("b", Direction::Inbound, None, 1);
        let inserted = table.insert(&direct).unwrap();
        assert!(!inserted.first && Arc::ptr_eq(&inserted.replaced[0], &relayed));
        assert!(Arc::ptr_eq(&table.best_direct(&node("b")).unwrap(), &direct));
    }

    #[test]
    fn another_process_with_the_same_id_is_not_added_while_the_first_lives() {
        let mut table = Table::new(node("a"));
        let first = link("b", Direction::Inbound, None, 1);
        table.insert(&first).unwrap();
        let second = link("b", Direction::Inbound, None, 2);
        assert!(Arc::ptr_eq(&table.insert(&second).unwrap_err(), &first));
        first.close("it died");
        assert!(table.insert(&second).is_ok());
        assert!(!table.remove(&first) && table.remove(&second));
        assert!(table.best(&node("b")).is_none());
    }
}
