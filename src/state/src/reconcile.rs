use std::collections::BTreeSet;

use ringrift_config::NodeId;

use crate::{VoterHistory, VoterRevision};

/// The most voters a cluster may have: each one more makes every write wait for more disks.
pub const MAX_VOTERS: usize = 9;

/// How many of `voters` must agree: a true majority.
pub fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// What the leader does about the voter list of a hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The file names the voters in force.
    Unchanged,
    /// Change Raft's membership, then propose [`crate::Command::AdoptVoters`].
    Change {
        /// The voters to be.
        to: BTreeSet<NodeId>,
        /// Those who become voters.
        added: BTreeSet<NodeId>,
        /// Those who cease to be.
        removed: BTreeSet<NodeId>,
        /// Voters to be that are not alive now: worth a warning, since the quorum counts them.
        dead: BTreeSet<NodeId>,
    },
    /// The file's list must not be put in force.
    Refuse {
        /// Why, as a sentence that names the nodes and says what to do.
        reason: String,
    },
    /// The file names voters that were in force once: it is an old copy, unless the operator says that it is meant.
    Stale {
        /// The list that put an end to the file's.
        since: VoterRevision,
        /// The same as a sentence that says what to do.
        reason: String,
    },
}

/// Decides about the voters that a hosts file names. Pure.
///
/// - `current`: the voters in force, from Raft's membership, which alone sets the quorum's size.
/// - `file`: what the file names, in its order.
/// - `history`: the lists that were in force ([`crate::ClusterState::voters`]).
/// - `alive`: the nodes that are alive now, the asker included.
/// - `explicit`: an operator asked for just this list, so that an old one may come back. It lifts nothing else.
pub fn reconcile(
    current: &BTreeSet<NodeId>,
    file: &[NodeId],
    history: &VoterHistory,
    alive: &BTreeSet<NodeId>,
    explicit: bool,
) -> Decision {
    let to: BTreeSet<NodeId> = file.iter().cloned().collect();
    if to.is_empty() {
        return refuse("the hosts file names no voters (p2p_voters): name 3 to 9 nodes".to_owned());
    }
    if let Some(twice) = twice(file) {
        return refuse(format!("the hosts file names the voter {twice} twice (p2p_voters): name it once"));
    }
    if to.len() > MAX_VOTERS {
        return refuse(format!(
            "the hosts file names {} voters ({}): name at most {MAX_VOTERS} (p2p_voters)",
            to.len(),
            listed(&to)
        ));
    }
    if to == *current {
        return Decision::Unchanged;
    }
    if let (Some(since), false) = (history.superseded_by(&to), explicit) {
        return stale(&to, current, since);
    }
    if let Some(reason) = no_quorum("the hosts file names the voters", &to, alive) {
        return refuse(format!("{reason}; start them, or correct p2p_voters"));
    }
    if let Some(reason) = no_quorum("the voters in force are", current, alive) {
        return refuse(format!("{reason}; they must agree to be replaced, so start them first"));
    }
    let added = &to - current;
    let removed = current - &to;
    let dead = &to - alive;
    Decision::Change { to, added, removed, dead }
}

fn refuse(reason: String) -> Decision {
    Decision::Refuse { reason }
}

fn stale(to: &BTreeSet<NodeId>, current: &BTreeSet<NodeId>, since: &VoterRevision) -> Decision {
    let by = if since.by.is_empty() { String::new() } else { format!(" by {}", since.by) };
    let reason = format!(
        "the hosts file names the voters {}, which were replaced by {} at log index {}{by}: it is an old copy, and {} \
         stay the voters; bring the new file here, or ask for the old voters explicitly if you mean them",
        listed(to),
        listed(&since.voters),
        since.index,
        listed(current),
    );
    Decision::Stale { since: since.clone(), reason }
}

fn no_quorum(whose: &str, voters: &BTreeSet<NodeId>, alive: &BTreeSet<NodeId>) -> Option<String> {
    let dead = voters - alive;
    let up = voters.len() - dead.len();
    let needed = majority(voters.len());
    (up < needed).then(|| {
        format!(
            "{whose} {}, of which {} {} not alive: {up} of {} would be left where a majority of {needed} is needed",
            listed(voters),
            listed(&dead),
            if dead.len() == 1 { "is" } else { "are" },
            voters.len(),
        )
    })
}

fn twice(nodes: &[NodeId]) -> Option<&NodeId> {
    let mut seen = BTreeSet::new();
    nodes.iter().find(|node| !seen.insert(*node))
}

fn listed(nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}
