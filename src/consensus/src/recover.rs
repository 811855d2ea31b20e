//! The way back from a lost majority: one voter's log becomes the beginning of a new cluster.
//!
//! This is outside Raft's guarantees, and only for when they cannot be had any more: what the lost voters had agreed on and
//! this one never got is lost. The new cluster has a new id, so that a lost voter that comes back after all is refused
//! instead of mixing its log with the new one.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use ringrift_config::NodeId;
use ringrift_state::{ClusterId, Command};

use crate::{
    error::{RecoverError, list},
    gate::founding_name,
    record::{Payload, Record, VoteRecord, VoterSets},
    runtime::{random, wall_ms},
    store::{Change, File, Mirror, Standing},
    types::{EntryPayload, Membership, Proposal, term_of},
};

/// What was kept, and what is left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverReport {
    /// Index of the last log entry that was kept.
    pub kept_index: u64,
    /// Term of that entry.
    pub kept_term: u64,
    /// Index up to which this voter knew the log to be agreed on. What lies behind it may not have been agreed on by the
    /// old cluster; the new one takes it over.
    pub known_committed: u64,
    /// The term in which the node starts again.
    pub term: u64,
    /// Which cluster it was.
    pub old_cluster_id: String,
    /// Which cluster it is from now on.
    pub cluster_id: String,
    /// The voters before.
    pub old_voters: BTreeSet<NodeId>,
    /// The voter now: this node alone. The others become voters again, one joint change, when they have caught up.
    pub voters: BTreeSet<NodeId>,
    /// Who is to be added.
    pub to_add: BTreeSet<NodeId>,
    /// What the operator must do now, one sentence each, in order.
    pub next: Vec<String>,
}

/// Makes the stopped voter `node`, whose state lies in `dir`, the beginning of a new cluster that keeps its log.
///
/// `voters` are those that the new cluster shall have in the end. The node begins as the only one: the others have nothing of
/// the new cluster yet, and it could not agree on anything if it had to wait for them.
///
/// Blocks. The log gets two entries more: the voter set, and the cluster's new name.
///
/// # Errors
///
/// If the directory is in use, holds no log or cannot be trusted, or if `voters` lacks `node`.
pub fn recover(dir: &Path, node: &NodeId, voters: &BTreeSet<NodeId>) -> Result<RecoverReport, RecoverError> {
    if !voters.contains(node) {
        return Err(RecoverError::NotAVoter { node: node.clone(), voters: voters.clone() });
    }
    let nothing = || RecoverError::Nothing { path: File::path_in(dir) };
    if !File::path_in(dir).exists() {
        return Err(nothing());
    }
    let (file, mirror) = File::open(dir, node)?;
    let last = mirror.last().ok_or_else(nothing)?;
    let old = Old::of(&mirror);
    let kept_term = term_of(&last);
    let term = mirror.vote.as_ref().map_or(0, |vote| vote.leader_id.term).max(kept_term) + 1;
    let salt = format!("{:06x}", random::<u32>() & 0xff_ffff);
    let cluster_id = match &*old.cluster_id {
        "" => format!("{}-{:08x}", founding_name(voters), random::<u32>()),
        id => ClusterId::parse(id).recovered(&salt).to_string(),
    };
    let alone = BTreeSet::from([node.clone()]);

    let entries = [
        Payload::Voters(VoterSets { sets: vec![alone.clone()], learners: BTreeSet::new() }),
        Payload::Command(Arc::new(Command::FormCluster {
            cluster_id: cluster_id.clone(),
            voters: alone.clone(),
            revision: String::new(),
            by: format!("recovery on {node}"),
            at_ms: wall_ms(),
        })),
    ];
    let mut rows = Vec::new();
    for (index, payload) in (last.index() + 1..).zip(entries) {
        let record = Record { term, index, payload };
        let bytes = ringrift_state::encode(&record).map_err(|e| RecoverError::Write(e.to_string()))?;
        rows.push((index, bytes));
    }
    // As a leader of that term would have left it.
    let vote = VoteRecord { term, node: node.clone(), committed: true };
    let changes = [Change::Vote(vote), Change::Append(rows), Change::Standing(Standing::Member)];
    file.commit(&changes).map_err(|e| RecoverError::Write(e.to_string()))?;

    let to_add: BTreeSet<NodeId> = voters - &alone;
    let next = steps(node, &to_add, &(&old.voters - &alone));
    Ok(RecoverReport {
        kept_index: last.index(),
        kept_term,
        known_committed: mirror.committed.map_or(0, |id| id.index()),
        term,
        old_cluster_id: old.cluster_id,
        cluster_id,
        old_voters: old.voters,
        voters: alone,
        to_add,
        next,
    })
}

fn steps(node: &NodeId, to_add: &BTreeSet<NodeId>, lost: &BTreeSet<NodeId>) -> Vec<String> {
    let mut next = Vec::new();
    if !lost.is_empty() {
        next.push(format!(
            "Keep the old voters {} stopped. Before one of them starts again, move its consensus directory away: what it \
             holds beyond this log is lost to the cluster, and with it in place it is refused.",
            list(lost)
        ));
    }
    next.push(format!("Start ringrift-p2p on {node}: it leads alone at once."));
    if !to_add.is_empty() {
        next.push(format!(
            "Name {node}, {} as p2p_voters in the hosts file on all nodes, start {} with empty consensus directories, and \
             reload: the leader adds them when they have caught up.",
            list(to_add),
            list(to_add)
        ));
    }
    next
}

/// What the old cluster was, as far as the file tells.
struct Old {
    cluster_id: String,
    voters: BTreeSet<NodeId>,
}

impl Old {
    fn of(mirror: &Mirror) -> Self {
        let image = mirror.snapshot.as_ref().map(|(image, _)| image);
        let mut cluster_id = image.map(|image| image.agreed.cluster_id.clone()).unwrap_or_default();
        let mut voters = image.map(|image| Membership::from(&image.head.voters)).unwrap_or_default();
        for entry in mirror.range(..) {
            match entry.payload {
                EntryPayload::Membership(membership) => voters = membership,
                EntryPayload::Normal(Proposal(command)) => {
                    if let Command::FormCluster { cluster_id: id, .. } = &*command
                        && ClusterId::takes(&cluster_id, id)
                    {
                        cluster_id.clone_from(id);
                    }
                }
                EntryPayload::Blank => {}
            }
        }
        Self { cluster_id, voters: voters.voter_ids().map(|voter| voter.0).collect() }
    }
}
