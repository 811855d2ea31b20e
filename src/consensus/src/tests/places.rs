//! Where nodes are, where others believe that they are, and who has a link to whom: for lives in which addresses change.

use std::collections::{BTreeMap, BTreeSet};

use rand::{rngs::StdRng, seq::IteratorRandom};
use ringrift_config::NodeId;

/// An address.
pub(crate) type Place = u32;

#[derive(Default)]
pub(crate) struct Places {
    /// Where each node is; empty in lives without addresses.
    at: BTreeMap<NodeId, Place>,
    /// Where the hosts file, which is the same everywhere, says that they are.
    file: BTreeMap<NodeId, Place>,
    /// Pairs with a link between them: either can ask the other then, wherever it is.
    linked: BTreeSet<(NodeId, NodeId)>,
    /// Nodes without power: who knocks there hears nothing.
    pub(crate) dark: BTreeSet<NodeId>,
}

impl Places {
    /// A hosts file of these nodes, which is right.
    pub(crate) fn of(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        let at: BTreeMap<_, _> = nodes.into_iter().zip(1..).collect();
        Self { file: at.clone(), at, ..Self::default() }
    }

    pub(crate) fn at(&self, node: &NodeId) -> Option<Place> {
        self.at.get(node).copied()
    }

    /// All nodes of the hosts file.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        self.file.keys().cloned().collect()
    }

    /// Gives a node another address, perhaps one that another node had.
    pub(crate) fn move_away(&mut self, node: &NodeId, dice: &mut StdRng) -> Place {
        let most = 2 * self.at.len() as Place;
        let taken: BTreeSet<Place> = self.at.values().copied().collect();
        let free = (1..=most).filter(|place| !taken.contains(place)).choose(dice).expect("half of them are free");
        self.at.insert(node.clone(), free);
        free
    }

    /// How many nodes are not where the hosts file says.
    pub(crate) fn astray(&self) -> usize {
        self.at.iter().filter(|(node, place)| self.file.get(*node) != Some(place)).count()
    }

    /// The hosts file is corrected everywhere.
    pub(crate) fn correct(&mut self) {
        self.file = self.at.clone();
    }

    fn pair(one: &NodeId, other: &NodeId) -> (NodeId, NodeId) {
        if one < other { (one.clone(), other.clone()) } else { (other.clone(), one.clone()) }
    }

    /// Whether `from` has or gets a link to `to`, as the daemon does it: at the address that `to` itself told, then at that of the
    /// hosts file. Whoever else is there is not taken for it.
    pub(crate) fn link(&mut self, from: &NodeId, to: &NodeId, told: Option<Place>) -> bool {
        let Some(at) = self.at.get(to).copied() else { return true };
        let pair = Self::pair(from, to);
        let found = self.linked.contains(&pair) || told == Some(at) || self.file.get(to) == Some(&at);
        if found {
            self.linked.insert(pair);
        }
        found
    }

    /// Nothing comes through between these two.
    pub(crate) fn part(&mut self, one: &NodeId, other: &NodeId) {
        self.linked.remove(&Self::pair(one, other));
    }

    /// A node ended, and its links with it.
    pub(crate) fn ended(&mut self, node: &NodeId) {
        self.linked.retain(|(one, other)| one != node && other != node);
    }
}
