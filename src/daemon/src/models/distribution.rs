//! What the leader alone does about models: it sees how far each has come, and says when it is everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ringrift_blob::ModelName;
use ringrift_config::NodeId;
use ringrift_consensus::Consensus;
use ringrift_state::{Command, DistributionState, HeldState, ModelRecord, Verdict, distribution_verdict};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    node::Shared,
    view::{Picture, epoch_ms},
};

/// When a distribution that is not complete has failed. The twelve models take 100 s at 100 Mbit/s.
const DEADLINE: Duration = Duration::from_mins(15);

/// A node that is dead for so long into a distribution is not waited for: it catches up when it comes back.
const WAIT_FOR_DEAD: Duration = Duration::from_mins(1);

/// The attempts that this leader watches, and since when by its own clock.
pub(crate) type Watching = BTreeMap<(ModelName, u64), Instant>;

/// Compares what the nodes say they have with what they shall have, and writes a verdict down where there is one.
pub(crate) async fn judge(shared: &Shared, consensus: &Consensus, watching: &mut Watching) {
    let agreed = consensus.agreed();
    let open: Vec<(&ModelName, &ModelRecord)> = agreed
        .state
        .models
        .iter()
        .filter(|(_, record)| !matches!(record.distribution.state, DistributionState::Complete { .. }))
        .map(|(name, record)| (name, &**record))
        .collect();
    watching.retain(|(name, generation), _| {
        open.iter().any(|(open, record)| *open == name && record.distribution.generation == *generation)
    });
    if open.is_empty() {
        return;
    }
    let picture = shared.picture();
    let eligible = eligible(&picture);
    for (name, record) in open {
        let generation = record.distribution.generation;
        let since = *watching.entry((name.clone(), generation)).or_insert_with(Instant::now);
        let holdings = holdings(&picture, &eligible, name, record, since.elapsed());
        let verdict = distribution_verdict(since.elapsed(), Duration::ZERO, &eligible, &holdings, DEADLINE);
        let (succeeded, failed) = match verdict {
            Verdict::Running { .. } => continue,
            // It failed before, and nothing has changed.
            Verdict::Failed { .. } if !record.distribution.is_running() => continue,
            Verdict::Complete { succeeded } => (succeeded, BTreeMap::new()),
            Verdict::Failed { succeeded, failed } => (succeeded, failed),
        };
        // The start is an entry that this leader may not have seen committed: its own clock tells less than the wall clocks.
        let duration_ms = epoch_ms().saturating_sub(record.distribution.started_at_ms);
        let sha256 = record.current.sha256;
        if failed.is_empty() {
            info!(nodes = succeeded.len(), "{name}: every node has verified {sha256}");
        } else {
            warn!(?failed, "{name}: {} of {} nodes have not got {sha256}", failed.len(), eligible.len());
        }
        let command = Command::DistributionEnded {
            name: name.clone(),
            sha256,
            generation,
            succeeded,
            failed,
            duration_ms,
            at_ms: epoch_ms(),
        };
        if let Err(error) = consensus.propose(command).await {
            // The next look, here or on the next leader, comes to the same verdict.
            warn!(%error, "could not write down how the distribution of {name} ended");
            return;
        }
    }
}

/// Who shall have the models: every host that the file expects to run a daemon.
pub(crate) fn eligible(picture: &Picture) -> BTreeSet<NodeId> {
    match &picture.hosts {
        Some(hosts) => hosts.hosts.values().filter(|host| host.runs_daemon()).map(|host| host.id.clone()).collect(),
        None => [picture.node.clone()].into(),
    }
}

/// What each node says about the current version of a model.
fn holdings(
    picture: &Picture,
    eligible: &BTreeSet<NodeId>,
    name: &ModelName,
    record: &ModelRecord,
    running: Duration,
) -> BTreeMap<NodeId, HeldState> {
    let held = |node: &NodeId| {
        if !picture.is_alive(node) {
            let reason = "it is not alive; it catches up when it comes back".to_owned();
            return (running >= WAIT_FOR_DEAD).then_some(HeldState::Stuck { reason });
        }
        picture.model_facts(node)?.held(name, record)
    };
    eligible.iter().filter_map(|node| Some((node.clone(), held(node)?))).collect()
}
