//! A cluster of five that the tests show: three voters, two workers, of which one is dead and one behind NAT.

use std::collections::BTreeMap;

use ringrift_api::{
    AllPeer, EligibilityState, Liveness, Network, Node, PeerNode, Status, VoterHealth, VoterStatus, WorkQueue,
};
use ringrift_config::NodeId;

/// When everything here happens, seconds since the epoch.
pub(crate) const NOW: f64 = 1_772_355_600.0;

pub(crate) fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn node(name: &str, role: &str, load: f64) -> Node {
    Node {
        host: format!("10.0.0.{}", name.len()),
        port: 8770,
        role: role.to_owned(),
        version: "0.1.0".to_owned(),
        last_heartbeat: NOW,
        leader_id: Some(id("alpha")),
        leader_term: 7,
        cpu_count: 8,
        cpu_percent: load,
        memory_gb: 64,
        memory_percent: load / 2.0,
        disk_percent: 40.0 + load / 2.0,
        active_job_count: (load / 10.0) as u32,
        load_score: load,
        status: "alive".to_owned(),
        ..Node::unknown(id(name))
    }
}

/// As its leader alpha sees it.
pub(crate) fn healthy() -> Status {
    let gpu = Node {
        has_gpu: true,
        gpu_name: "RTX 4090".to_owned(),
        gpu_percent: 97.0,
        ..node("gpu-node-3", "worker", 98.0)
    };
    let nat = Node { relay_via: "beta".to_owned(), nat_blocked: true, eligibility: EligibilityState::Cordoned, ..gpu };
    let voters = [("alpha", true), ("beta", true), ("gamma", true)];
    status(
        vec![
            PeerNode::new(node("beta", "follower", 12.0), Liveness::Alive, Some(NOW - 0.5), NOW, true),
            PeerNode::new(node("gamma", "follower", 3.0), Liveness::Suspect, Some(NOW - 4.0), NOW, true),
            PeerNode::new(nat, Liveness::Alive, Some(NOW - 1.0), NOW, false),
            PeerNode::new(Node::unknown(id("gpu-node-4")), Liveness::Unseen, None, NOW, false),
        ],
        &voters,
        Some("alpha"),
    )
}

/// Two of three voters are gone.
pub(crate) fn leaderless() -> Status {
    let voters = [("alpha", true), ("beta", false), ("gamma", false)];
    let dead = |name| PeerNode::new(node(name, "leader", 5.0), Liveness::Dead, Some(NOW - 7_500.0), NOW, true);
    let status = status(vec![dead("beta"), dead("gamma")], &voters, None);
    let self_node = Node { role: "candidate".to_owned(), ..status.self_node };
    Status { role: "candidate".to_owned(), self_node, state_age_seconds: Some(95.0), ..status }
}

fn status(peers: Vec<PeerNode>, voters: &[(&str, bool)], leader: Option<&str>) -> Status {
    let voter_health = VoterHealth::of(
        voters
            .iter()
            .map(|(v, alive)| (id(v), VoterStatus { alive: *alive, votes: *alive, detail: String::new() }))
            .collect(),
    );
    let own = node("alpha", "leader", 25.0);
    let names = |wanted: fn(Liveness) -> bool| -> Vec<NodeId> {
        peers.iter().filter(|p| wanted(p.state)).map(|p| p.node.node_id.clone()).collect()
    };
    let alive = names(Liveness::is_alive);
    let suspect = names(|s| s == Liveness::Suspect);
    let dead = names(|s| !s.is_alive());
    let all: BTreeMap<NodeId, AllPeer> = peers.iter().map(|p| (p.node.node_id.clone(), p.brief())).collect();
    Status {
        node_id: id("alpha"),
        role: "leader".to_owned(),
        leader_id: leader.map(id),
        effective_leader_id: leader.map(id),
        is_leader: leader == Some("alpha"),
        term: 7,
        cluster_id: "c1".to_owned(),
        voter_node_ids: voters.iter().map(|(v, _)| id(v)).collect(),
        voter_quorum_size: voter_health.quorum_size,
        voters_alive: voter_health.voters_alive,
        voter_quorum_ok: voter_health.quorum_ok,
        voter_health,
        alive_peers: alive.len() as u32,
        active_peers: (alive.len() - suspect.len()) as u32,
        alive_peers_list: alive,
        suspect_peers: suspect.len() as u32,
        suspect_peers_list: suspect,
        dead_peers: dead.len() as u32,
        dead_peers_list: dead,
        nodes: std::iter::once(own.clone()).chain(peers.iter().map(|p| p.node.clone())).collect(),
        self_node: own,
        total_peers: peers.len() as u32,
        peers: peers.into_iter().map(|p| (p.node.node_id.clone(), p)).collect(),
        all_peers: all,
        uptime_seconds: 90_061.0,
        uptime: 90_061.0,
        version: "0.1.0".to_owned(),
        state_index: 42,
        state_age_seconds: Some(0.1),
        local_jobs: BTreeMap::new(),
        work_queue_size: 5,
        active_jobs: 12,
        selfplay_jobs: 10,
        training_jobs: 2,
        local_selfplay_jobs: 2,
        work_queue: WorkQueue { pending: 5, ..WorkQueue::default() },
        network: Network::default(),
    }
}
