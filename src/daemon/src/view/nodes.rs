use ringrift_api::{Eligibility, Liveness, NodeEntry, NodeList};
use ringrift_config::NodeId;
use ringrift_state::Standing;

use super::{Picture, node};

/// `GET /api/nodes`: every node that takes part or should, and whether it is given work.
pub(crate) fn node_list(picture: &Picture) -> NodeList {
    let own = node::own(picture);
    let mut nodes = vec![entry(picture, &picture.node, Liveness::Alive, &own)];
    for member in picture.others() {
        let peer = node::peer(picture, member);
        nodes.push(entry(picture, &member.id, peer.state, &peer.node));
    }
    nodes.sort_by(|a, b| a.node_id.cmp(&b.node_id));
    NodeList {
        success: true,
        nodes,
        leader_id: picture.leadership.leader.clone(),
        state_index: picture.leadership.applied,
    }
}

fn entry(picture: &Picture, id: &NodeId, state: Liveness, node: &ringrift_api::Node) -> NodeEntry {
    NodeEntry {
        node_id: id.clone(),
        state,
        eligibility: eligibility(picture.agreed.state.eligibility.get(id)),
        role: node.role.clone(),
        is_voter: picture.is_voter(id),
        is_leader: picture.leadership.leader.as_ref() == Some(id),
        host: node.host.clone(),
        port: node.port,
        host_status: picture.hosts.as_ref().and_then(|h| h.hosts.get(id)).map(|h| h.status.to_string()),
        capabilities: node.capabilities.clone(),
        active_job_count: node.active_job_count,
        last_seen: node.last_heartbeat,
        version: node.version.clone(),
    }
}

fn eligibility(standing: Option<&Standing>) -> Eligibility {
    let Some(standing) = standing else { return Eligibility::default() };
    let state = node::eligibility(standing.eligibility);
    let text = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    Eligibility {
        state,
        by: text(&standing.by),
        reason: text(&standing.reason),
        since: Some(standing.at_ms as f64 / 1000.0),
    }
}
