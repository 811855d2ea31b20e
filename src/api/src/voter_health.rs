use std::collections::BTreeMap;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether the voters can agree on anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoterHealth {
    /// How many voters there are.
    pub voters_total: u32,
    /// How many of them this node believes alive, itself included.
    pub voters_alive: u32,
    /// Those that it does not.
    #[schema(value_type = Vec<String>)]
    pub voters_offline: Vec<NodeId>,
    /// How many must agree: a true majority, n/2 + 1.
    pub quorum_size: u32,
    /// Whether at least that many are alive and vote.
    pub quorum_ok: bool,
    /// Whether the loss of one more of those would end it, or it is lost already.
    pub quorum_threatened: bool,
    /// Each voter by name.
    #[schema(value_type = BTreeMap<String, VoterStatus>)]
    pub voter_status: BTreeMap<NodeId, VoterStatus>,
}

/// One voter, as this node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoterStatus {
    /// Whether it counts as alive.
    pub alive: bool,
    /// Whether its vote can be had: not that of one that is gone, nor of one that is still catching up.
    #[serde(default)]
    pub votes: bool,
    /// How this is known, for people.
    pub detail: String,
}

impl VoterHealth {
    /// How many of `total` voters are a majority; none can be had of no voters.
    pub fn majority(total: usize) -> usize {
        total / 2 + 1
    }

    /// Counts the voters. Nothing but their states decides: a single flag cannot disagree with the counts.
    pub fn of(voter_status: BTreeMap<NodeId, VoterStatus>) -> Self {
        let total = voter_status.len();
        let alive = voter_status.values().filter(|v| v.alive).count();
        let voting = voter_status.values().filter(|v| v.alive && v.votes).count();
        let quorum = Self::majority(total);
        Self {
            voters_total: total as u32,
            voters_alive: alive as u32,
            voters_offline: voter_status.iter().filter(|(_, v)| !v.alive).map(|(id, _)| id.clone()).collect(),
            quorum_size: quorum as u32,
            quorum_ok: voting >= quorum,
            quorum_threatened: voting <= quorum,
            voter_status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_a_true_majority() {
        for (total, alive, quorum, ok, threatened) in [
            (0, 0, 1, false, true),
            (1, 1, 1, true, true),
            (2, 1, 2, false, true),
            (2, 2, 2, true, true),
            (3, 1, 2, false, true),
            (3, 2, 2, true, true),
            (3, 3, 2, true, false),
            (4, 2, 3, false, true),
            (5, 3, 3, true, true),
            (5, 4, 3, true, false),
        ] {
            let voters = (0..total).map(|i| {
                let status = VoterStatus { alive: i < alive, votes: true, detail: String::new() };
                (format!("v{i}").parse().unwrap(), status)
            });
            let health = VoterHealth::of(voters.collect());
            assert_eq!(
                (health.quorum_size, health.quorum_ok, health.quorum_threatened, health.voters_offline.len()),
                (quorum, ok, threatened, total - alive),
                "{alive} of {total}"
            );
        }
    }

    #[test]
    fn who_does_not_vote_yet_is_alive_but_makes_no_quorum() {
        let voters = [("a", true), ("b", false), ("c", false)];
        let voters =
            voters.map(|(id, votes)| (id.parse().unwrap(), VoterStatus { alive: true, votes, detail: String::new() }));
        let health = VoterHealth::of(voters.into());
        assert_eq!((health.voters_alive, health.quorum_ok, health.quorum_threatened), (3, false, true));
    }
}
