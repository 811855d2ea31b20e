use ringrift_api::Status;
use ringrift_config::{Host, NodeId};

use super::{super::state::State, book::Book, leads};

/// Who is restarted, in which order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Voters that do not run: with them the quorum has more to spare.
    pub(super) missing_voters: Vec<NodeId>,
    /// Batches.
    pub(super) workers: Vec<Vec<NodeId>>,
    /// The others, the leader of this moment last.
    pub(super) voters: Vec<NodeId>,
    /// Restarted by the walk that is resumed.
    pub(super) done: Vec<NodeId>,
}

impl Plan {
    pub(super) fn new(hosts: &[Host], states: &[State], seen: &Status, batch: usize, book: &Book) -> Self {
        let meant = || hosts.iter().zip(states).filter(|(_, state)| is_restarted(state));
        let (done, left): (Vec<_>, Vec<_>) =
            meant().partition(|(host, state)| book.has(&host.id) && state.is_running());
        // Those that are agreed, not those of a file: they are the quorum.
        let (voters, workers): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(host, _)| seen.voter_node_ids.contains(&host.id));
        let (running, missing): (Vec<_>, Vec<_>) = voters.into_iter().partition(|(_, state)| state.is_running());
        let names =
            |found: Vec<(&Host, &State)>| found.into_iter().map(|(host, _)| host.id.clone()).collect::<Vec<_>>();
        let mut voters = names(running);
        voters.sort_by_key(|id| leads(seen, id));
        Self {
            missing_voters: names(missing),
            workers: names(workers).chunks(batch).map(<[_]>::to_vec).collect(),
            voters,
            done: names(done),
        }
    }

    /// Everybody whose turn comes.
    pub(super) fn all(&self) -> impl Iterator<Item = &NodeId> {
        self.missing_voters.iter().chain(self.workers.iter().flatten()).chain(&self.voters)
    }

    pub(super) fn has(&self, node: &NodeId) -> bool {
        self.all().any(|id| id == node)
    }

    /// For people.
    pub(super) fn steps(&self) -> Vec<(&'static str, Vec<&NodeId>)> {
        let missing = self.missing_voters.iter().map(|id| ("start the voter", vec![id]));
        let workers = self.workers.iter().map(|batch| ("restart the workers", batch.iter().collect()));
        let voters = self.voters.iter().map(|id| ("restart the voter", vec![id]));
        missing.chain(workers).chain(voters).collect()
    }
}

/// Whether a restart is for nodes that are so.
pub(super) fn is_restarted(state: &State) -> bool {
    match state {
        State::Running(_) | State::Starting(_) | State::Stopped | State::Failed(_) => true,
        State::NotInstalled(_) | State::Unreachable(_) | State::Unknown(_) | State::Skipped(_) => false,
    }
}
