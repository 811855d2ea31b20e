//! What a leader has to do besides leading.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use openraft::{ChangeMembers, async_runtime::watch::WatchReceiver};
use ringrift_state::{Command, encode};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    gate::founding_name,
    runtime::{random, wall_ms},
    serve::Service,
    settings::Timers,
    status::{RaftStatus, Role},
    store::Standing,
    types::{Proposal, Voter, term_of},
};

/// The log is cut as soon as a snapshot allows when its entries take more than this, however few they are.
const LARGE_LOG: usize = 16 << 20;

/// How long one duty may take before the leader looks around again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a leader has to do besides leading.
pub(crate) struct Duties {
    pub(crate) service: Arc<Service>,
    pub(crate) status: watch::Receiver<RaftStatus>,
    pub(crate) changing: Arc<tokio::sync::Mutex<()>>,
    pub(crate) timers: Timers,
}

impl Duties {
    pub(crate) async fn run(mut self) {
        loop {
            let role = self.status.borrow_and_update().role;
            self.keep_log_small().await;
            if role == Role::Leader {
                // Whatever does not succeed now is tried again: another leader may have done it meanwhile.
                let _ = timeout(PATIENCE, self.name_cluster()).await;
                let _ = timeout(PATIENCE, self.finish_change()).await;
            }
            sleep(self.timers.heartbeat).await;
            // Also without news: what did not succeed is tried again.
            if let Ok(Err(_)) = timeout(self.timers.election_max, self.status.changed()).await {
                return;
            }
        }
    }

    /// The first leader gives the cluster its name.
    async fn name_cluster(&self) {
        let metrics = self.service.raft.metrics().borrow_watched().clone();
        // An entry of this leader's own term must be applied: then every earlier leader's attempt has succeeded or is void.
        let settled = metrics.last_applied.is_some_and(|id| term_of(&id) == metrics.current_term);
        if !settled || !self.service.feed.agreed().cluster_id.is_empty() {
            return;
        }
        let genesis = match &self.service.store.mirror().standing {
            Standing::Founder { genesis } => genesis.clone(),
            _ => self.service.genesis.clone(),
        };
        let cluster_id = format!("{}-{:08x}", founding_name(&genesis), random::<u32>());
        tracing::info!(cluster_id, "naming the cluster");
        let command = Command::FormCluster {
            cluster_id,
            voters: metrics.membership_config.voter_ids().map(|voter| voter.0).collect(),
            revision: String::new(),
            by: self.service.node.to_string(),
            at_ms: wall_ms(),
        };
        debug_assert!(encode(&command).is_ok());
        if let Err(error) = self.service.raft.client_write(Proposal(Arc::new(command))).await {
            tracing::debug!(%error, "the cluster was not named");
        }
    }

    /// A change of the voters that an earlier leader began is finished, and what it left behind removed.
    async fn finish_change(&self) {
        let Ok(_changing) = self.changing.try_lock() else { return };
        let metrics = self.service.raft.metrics().borrow_watched().clone();
        if metrics.membership_config != metrics.committed_membership_config {
            return;
        }
        let membership = metrics.membership_config.membership();
        let learners: BTreeSet<Voter> = membership.learner_ids().collect();
        let change = if membership.get_joint_config().len() > 1 {
            tracing::info!("finishing the change of the voters that an earlier leader began");
            ChangeMembers::AddVoterIds(BTreeSet::new())
        } else if !learners.is_empty() {
            tracing::info!(
                ?learners,
                "no longer feeding those whose way to become voters ended with an earlier leader"
            );
            ChangeMembers::RemoveNodes(learners)
        } else {
            return;
        };
        if let Err(error) = self.service.raft.change_membership(change, false).await {
            tracing::debug!(%error, "the change of the voters was not finished");
        }
    }

    /// A few large commands fill the memory as well as many small ones.
    async fn keep_log_small(&self) {
        if self.service.store.mirror().bytes() <= LARGE_LOG {
            return;
        }
        let metrics = self.service.raft.metrics().borrow_watched().clone();
        let trigger = self.service.raft.trigger();
        // Errors mean that Raft has stopped, which the status tells.
        if metrics.snapshot.map(|id| id.index()) < metrics.last_applied.map(|id| id.index()) {
            let _ = trigger.snapshot().await;
        }
        if let Some(snapshot) = metrics.snapshot {
            let _ = trigger.purge_log(snapshot.index()).await;
        }
    }
}
