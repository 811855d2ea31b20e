use ringrift_api::{ClusterStatus, Status};

use super::Picture;

/// `GET /api/cluster/status`, contract §2.3: what `/status` says, with the peers as a list.
pub(super) fn cluster_status(picture: &Picture, status: &Status) -> ClusterStatus {
    let peers: Vec<_> = status.peers.values().cloned().collect();
    ClusterStatus {
        success: true,
        node_id: status.node_id.clone(),
        role: status.role.clone(),
        leader_id: status.leader_id.clone(),
        is_leader: status.is_leader,
        voter_node_ids: status.voter_node_ids.clone(),
        voter_quorum_ok: status.voter_quorum_ok,
        uptime_seconds: status.uptime_seconds,
        peer_count: peers.len() as u32,
        peers,
        jobs: Vec::new(),
        job_count: 0,
        training_jobs: Vec::new(),
        timestamp: picture.now,
    }
}
