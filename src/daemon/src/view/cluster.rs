use ringrift_api::{ClusterStatus, Status};
use ringrift_job::Kind;

use super::Picture;

/// `GET /api/cluster/status`, contract §2.3: what `/status` says, with the peers as a list.
pub(super) fn cluster_status(picture: &Picture, status: &Status) -> ClusterStatus {
    let jobs = super::jobs::live(picture);
    let training = super::jobs::of_kind(picture, Kind::Training);
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
        job_count: jobs.len() as u32,
        jobs,
        training_jobs: training,
        timestamp: picture.now,
    }
}
