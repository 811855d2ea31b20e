use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringrift_blob::{Blob, Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::jobs::Submit;
use crate::models::{Ended, Promote};
use crate::{
    ClusterId, Command, Eligibility, EntryMeta, EventLog, Fill, Jobs, MAX_VOTERS, ModelRecord, NewEvent, Outcome,
    RecentRequests, Removal, Standing, VoterHistory, VoterRevision, kind,
};

/// Everything that the voters agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct ClusterState {
    /// The cluster's id as [`Command::FormCluster`] named it; empty before.
    pub cluster_id: String,
    /// Nodes that are not simply eligible.
    pub eligibility: BTreeMap<NodeId, Standing>,
    /// The newest events.
    pub events: EventLog,
    /// Sequence number of the newest event ever recorded; 0 when there was none.
    pub last_seq: u64,
    /// The voter lists that were in force.
    pub voters: VoterHistory,
    /// The latest requests that were applied.
    pub requests: RecentRequests,
    /// The promoted models, by name. A clone shares the records.
    pub models: BTreeMap<ModelName, Arc<ModelRecord>>,
    /// Names that were taken away, so that a node that was off then takes them away too. The latest [`Removal::MAX`] of them.
    pub removed: BTreeMap<ModelName, Removal>,
    /// The chunks of the current versions, and of the last few before them.
    pub blobs: BTreeMap<Digest, Blob>,
    /// The jobs.
    pub jobs: Jobs,
    /// How idle slots are filled; none for what each leader's settings say.
    pub fill: Option<Fill>,
}

impl ClusterState {
    /// How many events are kept.
    pub const MAX_EVENTS: usize = EventLog::MAX;
    /// How many nodes may be cordoned or draining: four times the largest cluster planned for.
    pub const MAX_NODES: usize = 4096;

    /// What a node may do.
    pub fn eligibility_of(&self, node: &NodeId) -> Eligibility {
        self.eligibility.get(node).map_or(Eligibility::Eligible, |standing| standing.eligibility)
    }

    /// Applies one committed command. Pure: the same state, entry and command give the same result on every node.
    pub fn apply(&mut self, entry: EntryMeta, command: &Command) -> Outcome {
        match command {
            Command::SetEligibility { node, eligibility, by, reason, at_ms } => {
                let (by, reason) = (by.clone(), reason.clone());
                let standing = Standing { eligibility: *eligibility, by, reason, at_ms: *at_ms };
                self.set_eligibility(node, standing.bounded())
            }
            Command::Record { event } => {
                self.record(event.clone());
                Outcome::Done
            }
            Command::AdoptVoters { voters, replaced, revision, by, at_ms } => {
                self.adopt_voters(VoterRevision::new(voters, revision, by, *at_ms, entry), replaced)
            }
            Command::Restore { state, source, by, at_ms } => self.restore(entry, state, source, by, *at_ms),
            Command::FormCluster { cluster_id, voters, revision, by, at_ms } => {
                self.form(cluster_id, VoterRevision::new(voters, revision, by, *at_ms, entry))
            }
            Command::PromoteModel { name, blob, elo, source, by, force, over, at_ms } => {
                let promote = Promote { name, elo: *elo, source, by, force: *force, at_ms: *at_ms };
                self.promote_model(entry, &promote, blob, *over)
            }
            Command::RemoveModel { name, by, at_ms } => self.remove_model(entry, name, by, *at_ms),
            Command::RollBackModel { name, sha256, by, at_ms } => self.roll_back_model(entry, name, sha256, by, *at_ms),
            Command::StartDistribution { name, by, force, at_ms } => {
                self.start_distribution(entry, name.as_ref(), by, *force, *at_ms)
            }
            Command::DistributionEnded { name, sha256, generation, succeeded, failed, duration_ms, at_ms } => {
                let (generation, duration_ms, at_ms) = (*generation, *duration_ms, *at_ms);
                self.end_distribution(&Ended { name, sha256, generation, succeeded, failed, duration_ms, at_ms })
            }
            Command::SubmitJobs { jobs, hard_limit, at_ms } => {
                self.submit_jobs(entry, &Submit { jobs, hard_limit: *hard_limit, at_ms: *at_ms })
            }
            Command::ChangeJobs { changes, at_ms } => self.change_jobs(entry, changes, *at_ms),
            Command::CancelJobs { jobs, by, at_ms } => self.cancel_jobs(entry, jobs, by, *at_ms),
            Command::LimitJob { job, limits, by, at_ms } => self.limit_job(entry, job, limits, by, *at_ms),
            Command::SetFill { fill, at_ms: _ } => self.set_fill(fill.as_ref()),
            Command::Once { request_id, inner } => self.once(entry, request_id, inner),
        }
    }

    pub(crate) fn record(&mut self, event: NewEvent) {
        self.last_seq = self.events.push(event);
    }

    fn set_eligibility(&mut self, node: &NodeId, standing: Standing) -> Outcome {
        if self.eligibility_of(node) == standing.eligibility {
            return Outcome::Unchanged;
        }
        let (kind, deed) = match standing.eligibility {
            Eligibility::Eligible => (kind::NODE_UNCORDONED, "gets work again"),
            Eligibility::Cordoned => (kind::NODE_CORDONED, "gets no new work"),
            Eligibility::Draining => (kind::NODE_DRAINING, "gets no new work, and its work is moved away"),
        };
        let Standing { eligibility, by, reason, at_ms } = &standing;
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let event = NewEvent::new(kind, format!("{node} {deed}{}{why}", by_whom(by)), *at_ms)
            .about(node)
            .with("by", by.as_str())
            .with("reason", reason.as_str());
        match eligibility {
            Eligibility::Eligible => {
                self.eligibility.remove(node);
            }
            Eligibility::Cordoned | Eligibility::Draining => {
                if self.eligibility.len() >= Self::MAX_NODES && !self.eligibility.contains_key(node) {
                    let reason = format!(
                        "{} nodes are cordoned or draining already, and no more are kept: uncordon those that are gone",
                        Self::MAX_NODES
                    );
                    return Outcome::Refused { reason };
                }
                self.eligibility.insert(node.clone(), standing);
            }
        }
        self.record(event);
        Outcome::Done
    }

    fn adopt_voters(&mut self, adopted: VoterRevision, replaced: &BTreeSet<NodeId>) -> Outcome {
        if !(1..=MAX_VOTERS).contains(&adopted.voters.len()) || replaced.len() > MAX_VOTERS {
            let reason = format!("a cluster has 1 to {MAX_VOTERS} voters, not {}", adopted.voters.len());
            return Outcome::Refused { reason };
        }
        let known = self.voters.current();
        if known.is_some_and(|known| known.voters == adopted.voters) {
            return Outcome::Unchanged;
        }
        // What was in force is written down although nobody adopted it in time: else its copies would pass for new.
        if !replaced.is_empty() && *replaced != adopted.voters && known.is_none_or(|known| known.voters != *replaced) {
            self.voters.push(VoterRevision {
                voters: replaced.clone(),
                index: adopted.index,
                ..VoterRevision::default()
            });
        }
        let event = NewEvent::new(
            kind::VOTERS_CHANGED,
            format!("the voters are now {}{}", listed(&adopted.voters), by_whom(&adopted.by)),
            adopted.at_ms,
        )
        .with("voters", names(&adopted.voters))
        .with("replaced", names(replaced))
        .with("revision", adopted.revision.as_str())
        .with("by", adopted.by.as_str());
        self.voters.push(adopted);
        self.record(event);
        Outcome::Done
    }

    fn restore(&mut self, entry: EntryMeta, saved: &Self, source: &str, by: &str, at_ms: u64) -> Outcome {
        if saved.eligibility.len() > Self::MAX_NODES {
            let reason = format!(
                "the saved state has {} cordoned or draining nodes; at most {} are kept",
                saved.eligibility.len(),
                Self::MAX_NODES
            );
            return Outcome::Refused { reason };
        }
        if let Some(reason) = self.refuses_models_of(saved) {
            return Outcome::Refused { reason };
        }
        self.eligibility = saved
            .eligibility
            .iter()
            .filter(|(_, standing)| standing.eligibility != Eligibility::Eligible)
            .map(|(node, standing)| (node.clone(), standing.clone().bounded()))
            .collect();
        if saved.events.last_seq() > self.events.last_seq() {
            self.events = saved.events.clone();
        }
        let from = if source.is_empty() { String::new() } else { format!(" from {source}") };
        let event =
            NewEvent::new(kind::STATE_RESTORED, format!("a saved state was restored{from}{}", by_whom(by)), at_ms)
                .with("source", source)
                .with("by", by)
                .with("saved_cluster_id", saved.cluster_id.as_str())
                .with("saved_last_seq", saved.last_seq);
        self.record(event);
        self.restore_models(entry, saved, by, at_ms);
        self.fill.clone_from(&saved.fill);
        self.restore_jobs(entry, saved, by, at_ms);
        Outcome::Done
    }

    fn form(&mut self, cluster_id: &str, founding: VoterRevision) -> Outcome {
        if cluster_id == self.cluster_id {
            return Outcome::Unchanged;
        }
        if founding.voters.len() > MAX_VOTERS {
            let reason = format!("a cluster has 1 to {MAX_VOTERS} voters, not {}", founding.voters.len());
            return Outcome::Refused { reason };
        }
        if !ClusterId::takes(&self.cluster_id, cluster_id) {
            let reason = format!("{cluster_id:?} cannot be the id of this cluster, which is {:?}", self.cluster_id);
            return Outcome::Refused { reason };
        }
        let (kind, deed) = match &*self.cluster_id {
            "" => (kind::CLUSTER_FORMED, "formed"),
            _ => (kind::CLUSTER_RECOVERED, "recovered"),
        };
        let event = NewEvent::new(
            kind,
            format!("the cluster {cluster_id} is {deed}, with the voters {}", listed(&founding.voters)),
            founding.at_ms,
        )
        .with("cluster_id", cluster_id)
        .with("voters", names(&founding.voters))
        .with("by", founding.by.as_str());
        cluster_id.clone_into(&mut self.cluster_id);
        if !founding.voters.is_empty() && self.voters.current().is_none_or(|known| known.voters != founding.voters) {
            self.voters.push(founding);
        }
        self.record(event);
        Outcome::Done
    }

    fn once(&mut self, entry: EntryMeta, request_id: &str, command: &Command) -> Outcome {
        if request_id.is_empty() || request_id.len() > RecentRequests::MAX_ID_LEN {
            let reason = format!(
                "a request id has 1 to {} bytes; this one has {}",
                RecentRequests::MAX_ID_LEN,
                request_id.len()
            );
            return Outcome::Refused { reason };
        }
        if let Command::Once { .. } = command {
            return Outcome::Refused { reason: "a request cannot hold another request".to_owned() };
        }
        if self.requests.contains(request_id) {
            return Outcome::Duplicate;
        }
        let outcome = self.apply(entry, command);
        // A refused one may be tried again under its id: the state may allow it by then.
        if !matches!(outcome, Outcome::Refused { .. }) {
            self.requests.remember(request_id);
        }
        outcome
    }
}

fn by_whom(by: &str) -> String {
    if by.is_empty() { String::new() } else { format!(", by {by}") }
}

fn listed(nodes: &BTreeSet<NodeId>) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

fn names(nodes: &BTreeSet<NodeId>) -> Vec<&str> {
    nodes.iter().map(NodeId::as_str).collect()
}
