use ringrift_api::{VoterEntry, VotersReport};
use ringrift_consensus::RaftStatus;

use super::{Picture, status};

/// `GET /api/voters`: the quorum as this node sees it; how far each voter has come is known on the leader alone.
pub(crate) fn voters_report(picture: &Picture, raft: Option<&RaftStatus>) -> VotersReport {
    let shown = status::status(picture);
    let health = &shown.voter_health;
    let committed = raft.map_or(picture.leadership.applied, |r| r.committed);
    let matched = |voter| raft.filter(|_| shown.is_leader).and_then(|r| r.matched.get(voter)).copied();
    VotersReport {
        success: true,
        node_id: picture.node.clone(),
        leader_id: shown.leader_id.clone(),
        term: shown.term,
        committed,
        config_index: raft.map_or(0, |r| r.voter_config_index),
        quorum_size: health.quorum_size,
        voters_alive: health.voters_alive,
        quorum_ok: health.quorum_ok,
        quorum_threatened: health.quorum_threatened,
        voters: health
            .voter_status
            .iter()
            .map(|(id, voter)| VoterEntry {
                node_id: id.clone(),
                alive: voter.alive,
                is_leader: shown.leader_id.as_ref() == Some(id),
                matched: matched(id),
                lag: matched(id).map(|m| committed.saturating_sub(m)),
                detail: voter.detail.clone(),
            })
            .collect(),
        pending: raft.and_then(|r| r.waiting.clone()).into_iter().collect(),
    }
}
