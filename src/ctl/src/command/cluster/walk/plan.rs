use ringrift_config::{Host, NodeId};

use super::super::state::State;

/// Whose turn comes, in which order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Voters that do not run: with them the quorum has more to spare.
    pub(crate) missing_voters: Vec<NodeId>,
    /// Batches.
    pub(crate) workers: Vec<Vec<NodeId>>,
    /// The others, the leader of this moment last.
    pub(crate) voters: Vec<NodeId>,
}

/// What the steps of a plan are called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    pub(crate) missing: &'static str,
    pub(crate) workers: &'static str,
    pub(crate) voter: &'static str,
}

impl Plan {
    /// For these nodes, whose daemons are so. `is_voter` tells whose daemon the quorum counts, `leader` who leads now.
    pub(crate) fn new(
        nodes: &[(&Host, &State)],
        is_voter: impl Fn(&NodeId) -> bool,
        leader: Option<&NodeId>,
        batch: usize,
    ) -> Self {
        let (voters, workers): (Vec<_>, Vec<_>) = nodes.iter().copied().partition(|(host, _)| is_voter(&host.id));
        let (running, missing): (Vec<_>, Vec<_>) = voters.into_iter().partition(|(_, state)| state.is_running());
        let names =
            |found: Vec<(&Host, &State)>| found.into_iter().map(|(host, _)| host.id.clone()).collect::<Vec<_>>();
        let mut voters = names(running);
        voters.sort_by_key(|id| leader == Some(id));
        Self {
            missing_voters: names(missing),
            workers: names(workers).chunks(batch).map(<[_]>::to_vec).collect(),
            voters,
        }
    }

    /// Everybody whose turn comes.
    pub(crate) fn all(&self) -> impl Iterator<Item = &NodeId> {
        self.missing_voters.iter().chain(self.workers.iter().flatten()).chain(&self.voters)
    }

    pub(crate) fn has(&self, node: &NodeId) -> bool {
        self.all().any(|id| id == node)
    }

    /// For people.
    pub(crate) fn steps(&self, words: Words) -> Vec<(&'static str, Vec<&NodeId>)> {
        let missing = self.missing_voters.iter().map(|id| (words.missing, vec![id]));
        let workers = self.workers.iter().map(|batch| (words.workers, batch.iter().collect()));
        let voters = self.voters.iter().map(|id| (words.voter, vec![id]));
        missing.chain(workers).chain(voters).collect()
    }
}
