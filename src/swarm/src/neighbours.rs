use std::collections::BTreeSet;

use ringrift_blob::Digest;
use ringrift_config::NodeId;

/// Degree that the defaults of this crate are measured with.
pub const DEGREE: usize = 10;

/// How far along a ring a place is exchanged so that no two nodes stand next to each other twice.
const REACH: usize = 6;

/// With whom a node exchanges chunks: about `degree` others, found by hashing alone, so that all nodes with the same list agree.
///
/// `members` is everybody with whether it dials out only, because it is behind NAT; `me` belongs into it with its own flag (without it, it
/// counts as one that can be dialled). Who can be dialled stands on `degree / 2` rings, in the order of hashes that differ from ring to
/// ring, and is a neighbour of the one before and the one after; such a graph is connected by one ring alone, and several make
/// it an expander. Who dials out only belongs to the two between whom its hash falls, on twice as many rings: it shares its neighbours
/// with theirs. The relation is symmetric. Two that dial out only are never neighbours. A member that comes or goes changes
/// only pairs that are near it on a ring.
pub fn neighbours(me: &NodeId, members: &[(NodeId, bool)], degree: usize) -> BTreeSet<NodeId> {
    let hidden = members.iter().any(|(id, dials_out_only)| id == me && *dials_out_only);
    let mut open: BTreeSet<&NodeId> = members.iter().filter(|(_, hidden)| !hidden).map(|(id, _)| id).collect();
    if !hidden {
        open.insert(me);
    }
    let closed: BTreeSet<&NodeId> = members.iter().filter(|(_, hidden)| *hidden).map(|(id, _)| id).collect();
    let rings = degree.div_ceil(2).max(1);
    let mut pairs = BTreeSet::new();
    let mut found = BTreeSet::new();
    for ring in 0..rings * 2 {
        let order = on_ring(ring, open.iter().copied());
        if order.is_empty() {
            break;
        }
        for (place, id) in on_ring(ring, closed.iter().copied()) {
            let next = order.partition_point(|at| at.0 < place);
            for other in [order[next % order.len()].1, order[(next + order.len() - 1) % order.len()].1] {
                if id == me {
                    found.insert(other.clone());
                } else if other == me {
                    found.insert(id.clone());
                }
            }
        }
        if ring < rings {
            let mut order: Vec<&NodeId> = order.into_iter().map(|(_, id)| id).collect();
            link(&mut order, &mut pairs);
        }
    }
    for (a, b) in pairs {
        if a == me {
            found.insert(b.clone());
        } else if b == me {
            found.insert(a.clone());
        }
    }
    found
}

fn on_ring<'a>(ring: usize, ids: impl Iterator<Item = &'a NodeId>) -> Vec<(Digest, &'a NodeId)> {
    let mut order: Vec<_> = ids.map(|id| (Digest::of(format!("ringrift-swarm {ring} {id}").as_bytes()), id)).collect();
    order.sort_unstable();
    order
}

/// Adds the pairs of a ring. Who would meet a neighbour of an earlier ring exchanges places with one that follows, since two nodes that meet
/// twice have one neighbour less, and those with the fewest were the last to be done.
fn link<'a>(order: &mut [&'a NodeId], pairs: &mut BTreeSet<(&'a NodeId, &'a NodeId)>) {
    let pair = |a: &'a NodeId, b: &'a NodeId| if a < b { (a, b) } else { (b, a) };
    for at in 1..order.len() {
        let before = order[at - 1];
        let fresh = (at..order.len().min(at + REACH)).find(|other| !pairs.contains(&pair(before, order[*other])));
        order.swap(at, fresh.unwrap_or(at));
        pairs.insert(pair(before, order[at]));
    }
    if let [first, .., last] = order {
        pairs.insert(pair(first, last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: usize, hidden: usize) -> Vec<(NodeId, bool)> {
        (0..count)
            .map(|n| (format!("gpu-{n}").parse().unwrap(), n * hidden / count != (n + 1) * hidden / count))
            .collect()
    }

    /// Everybody's neighbours, checked: symmetric, not oneself, connected, no pair that could not dial.
    fn graph(members: &[(NodeId, bool)]) -> Vec<BTreeSet<NodeId>> {
        let graph: Vec<_> = members.iter().map(|(id, _)| neighbours(id, members, DEGREE)).collect();
        let at = |id: &NodeId| members.iter().position(|(member, _)| member == id).unwrap();
        for ((id, hidden), near) in members.iter().zip(&graph) {
            for other in near {
                let other = at(other);
                assert!(members[other].0 != *id && graph[other].contains(id), "{id} and {}", members[other].0);
                assert!(!hidden || !members[other].1, "{id} and {} both dial out only", members[other].0);
            }
        }
        let mut reached = BTreeSet::from([0]);
        let mut next = vec![0];
        while let Some(from) = next.pop() {
            next.extend(graph[from].iter().map(at).filter(|to| reached.insert(*to)));
        }
        assert_eq!(reached.len(), members.len(), "all are connected");
        graph
    }

    #[test]
    fn it_is_symmetric_connected_and_of_the_degree() {
        for count in [2, 3, 5, 11, 12, 43, 150] {
            let graph = graph(&members(count, 0));
            let most = (count - 1).min(DEGREE);
            for near in &graph {
                assert!((most.min(DEGREE - 2)..=most).contains(&near.len()) || count < 20, "{count}: {}", near.len());
            }
        }
        assert!(neighbours(&"alone".parse().unwrap(), &[], DEGREE).is_empty());
    }

    #[test]
    fn who_dials_out_only_has_neighbours_that_can_be_dialled() {
        for (count, hidden) in [(2, 1), (5, 4), (43, 16), (43, 40), (43, 42), (120, 60)] {
            let members = members(count, hidden);
            for ((id, hides), near) in members.iter().zip(graph(&members)) {
                let dialled = members.iter().filter(|(_, hides)| !hides).count();
                assert!(!hides || near.len() >= dialled.min(DEGREE / 2), "{id} has {}", near.len());
            }
        }
    }

    #[test]
    fn one_member_less_changes_little() {
        let all = members(100, 20);
        let mut changed = 0;
        for gone in [3, 50, 97] {
            let mut rest = all.clone();
            let (left, _) = rest.remove(gone);
            for (id, _) in &rest {
                let (before, after) = (neighbours(id, &all, DEGREE), neighbours(id, &rest, DEGREE));
                changed += before.difference(&after).filter(|other| **other != left).count();
            }
        }
        assert!(changed < 3 * 60, "{changed} neighbours were exchanged besides those that left");
    }
}
