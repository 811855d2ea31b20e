//! Brings the voters in force to what the hosts file names.

use std::{collections::BTreeSet, time::Duration};

use http::Method;
use ringrift_api::VoterChange;
use ringrift_config::NodeId;
use ringrift_consensus::ChangeError;
use ringrift_state::{Command, Decision, Outcome, reconcile};
use tracing::{info, warn};

use crate::{
    ask::ask,
    http::{
        error::ApiError,
        operations::{AdoptVoters, set},
    },
    node::Shared,
    view::epoch_ms,
};

/// On the leader: changes the voters by joint consensus, then writes down that it was done.
pub(crate) async fn adopt(shared: &Shared, request: &AdoptVoters, by: &str) -> Result<VoterChange, ApiError> {
    let (consensus, status) =
        shared.agreement.voting().ok_or_else(|| ApiError::NoLeader(format!("{} does not vote", shared.node())))?;
    let picture = shared.picture();
    let candidates: BTreeSet<NodeId> = status.voters.iter().chain(&request.voters).cloned().collect();
    let alive: BTreeSet<NodeId> = candidates.into_iter().filter(|n| picture.is_alive(n)).collect();
    let agreed = consensus.agreed();
    let decision = reconcile(&status.voters, &request.voters, &agreed.state.voters, &alive, request.explicit);
    let from: Vec<NodeId> = status.voters.iter().cloned().collect();
    let to = match decision {
        Decision::Unchanged => return Ok(VoterChange { to: from.clone(), from, done: true }),
        Decision::Refuse { reason } | Decision::Stale { reason, .. } => return Err(ApiError::Refused(reason)),
        Decision::Change { to, added, removed, dead } => {
            info!(?added, ?removed, ?dead, "changing the voters, asked by {by}");
            to
        }
    };
    consensus.change_voters(to.clone()).await.map_err(|error| match error {
        ChangeError::Empty { .. } | ChangeError::UnderWay | ChangeError::NoQuorum { .. } => {
            ApiError::Refused(error.to_string())
        }
        ChangeError::Unfinished => ApiError::Timeout(error.to_string()),
        ChangeError::Propose(inner) => inner.into(),
    })?;
    let command = Command::AdoptVoters {
        voters: to.clone(),
        replaced: status.voters.clone(),
        revision: request.revision.clone(),
        by: by.to_owned(),
        at_ms: epoch_ms(),
    };
    // A leader that has voted itself out no longer leads here; the next one finds the change and writes it down.
    match shared.propose(command).await.map(|c| c.outcome) {
        Ok(Outcome::Refused { reason }) => warn!("the voters changed, and that could not be written down: {reason}"),
        Err(error) => warn!(%error, "the voters changed; the next leader writes it down"),
        Ok(Outcome::Done | Outcome::Unchanged | Outcome::Duplicate) => {}
    }
    shared.forget_snapshot();
    Ok(VoterChange { from, to: to.into_iter().collect(), done: true })
}

/// Asks the leader, wherever it is, to put this node's voter list in force.
pub(crate) async fn propose_list(shared: &Shared, voters: &[NodeId], revision: &str) -> Result<VoterChange, ApiError> {
    let request = AdoptVoters { voters: voters.to_vec(), revision: revision.to_owned(), explicit: false };
    ask(shared, Method::POST, "/api/voters/adopt", &request, CHANGE_WITHIN).await
}

/// Time for a change: new voters have to be caught up first.
const CHANGE_WITHIN: Duration = Duration::from_mins(1);

/// What a start finds when the voters in force are not those that it was told of.
pub(crate) fn differs(shared: &Shared) -> Option<String> {
    let in_force = shared.agreement.leadership().voters;
    let named = shared.named_voters();
    (!in_force.is_empty() && set(&in_force) != *named).then(|| {
        format!(
            "this node's hosts file or settings name other voters ({}) than the cluster has agreed on ({}): \
             `ringriftctl reload` puts them in force",
            list(named.iter()),
            list(&in_force)
        )
    })
}

fn list<'a>(nodes: impl IntoIterator<Item = &'a NodeId>) -> String {
    nodes.into_iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}
