use std::collections::BTreeMap;

use ringrift_api::{Liveness, Network, Node, PeerNode, Status, VoterHealth, VoterStatus};
use ringrift_config::NodeId;

use super::{Picture, node};
use crate::agreement::Part;

/// `GET /status`, contract §2.1, with the dead among `peers`.
pub(super) fn status(picture: &Picture) -> Status {
    let leadership = &picture.leadership;
    let peers: BTreeMap<NodeId, PeerNode> = picture.others().map(|m| (m.id.clone(), node::peer(picture, m))).collect();
    let in_state = |wanted: &[Liveness]| -> Vec<NodeId> {
        peers.iter().filter(|(_, p)| wanted.contains(&p.state)).map(|(id, _)| id.clone()).collect()
    };
    let alive_peers_list = in_state(&[Liveness::Alive, Liveness::Suspect]);
    let suspect_peers_list = in_state(&[Liveness::Suspect]);
    let dead_peers_list = in_state(&[Liveness::Dead, Liveness::Left, Liveness::Unseen]);
    let voter_health = voter_health(picture);
    let self_node = node::own(picture);
    let uptime = picture.uptime.as_secs_f64();
    let counts = super::jobs::counts(&picture.agreed.state.jobs);
    Status {
        node_id: picture.node.clone(),
        role: leadership.part.as_str().to_owned(),
        leader_id: leadership.leader.clone(),
        effective_leader_id: leadership.leader.clone(),
        is_leader: leadership.part == Part::Leader,
        term: leadership.term,
        cluster_id: picture.agreed.cluster_id.clone(),
        voter_node_ids: picture.voters().to_vec(),
        voter_quorum_size: voter_health.quorum_size,
        voters_alive: voter_health.voters_alive,
        voter_quorum_ok: voter_health.quorum_ok,
        voter_health,
        nodes: nodes(picture, &self_node, &peers),
        self_node,
        all_peers: peers.iter().map(|(id, p)| (id.clone(), p.brief())).collect(),
        alive_peers: alive_peers_list.len() as u32,
        total_peers: peers.len() as u32,
        active_peers: (alive_peers_list.len() - suspect_peers_list.len()) as u32,
        suspect_peers: suspect_peers_list.len() as u32,
        dead_peers: dead_peers_list.len() as u32,
        alive_peers_list,
        suspect_peers_list,
        dead_peers_list,
        peers,
        uptime_seconds: uptime,
        uptime,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        state_index: leadership.applied,
        state_age_seconds: leadership.stale.map(|d| d.as_secs_f64()),
        local_jobs: super::jobs::local(picture),
        work_queue_size: counts.pending,
        active_jobs: counts.in_progress,
        selfplay_jobs: counts.selfplay,
        training_jobs: counts.training,
        local_selfplay_jobs: u64::from(picture.facts.jobs.selfplay),
        work_queue: super::jobs::work_queue(&counts),
        network: network(picture),
    }
}

/// Self, every peer, and every host of the file that is not expected to run, by name.
fn nodes(picture: &Picture, own: &Node, peers: &BTreeMap<NodeId, PeerNode>) -> Vec<Node> {
    let mut all: BTreeMap<&NodeId, Node> = peers.iter().map(|(id, p)| (id, p.node.clone())).collect();
    if let Some(hosts) = &picture.hosts {
        for (id, host) in &hosts.hosts {
            all.entry(id).or_insert_with(|| node::retired(picture, host));
        }
    }
    all.insert(&picture.node, own.clone());
    all.into_values().collect()
}

pub(super) fn voter_health(picture: &Picture) -> VoterHealth {
    let status = picture.voters().iter().map(|voter| {
        let alive = picture.is_alive(voter);
        let elsewhere = another_cluster(&picture.leadership.cluster, picture.cluster_id(voter));
        let votes = alive && elsewhere.is_none() && Part::votes(picture.role(voter));
        let detail = if *voter == picture.node {
            if votes { "this node" } else { "this node, which does not vote yet" }.to_owned()
        } else {
            match picture.members.get(voter) {
                Some(_) if alive && let Some(name) = elsewhere => format!("alive, but votes in the cluster {name}"),
                Some(_) if alive && !votes => "alive, but does not vote yet".to_owned(),
                Some(member) => node::liveness(member.state).as_str().to_owned(),
                None => match picture.hosts.as_ref().and_then(|h| h.hosts.get(voter)) {
                    Some(host) if !host.runs_daemon() => {
                        format!(
                            "the hosts file keeps it down (status {}, p2p_enabled {})",
                            host.status, host.p2p_enabled
                        )
                    }
                    Some(_) | None => "never heard of".to_owned(),
                },
            }
        };
        (voter.clone(), VoterStatus { alive, votes, detail })
    });
    VoterHealth::of(status.collect())
}

/// The cluster of which a voter said that it is its own, where that is not `ours`: after a lost majority was recovered,
/// a voter of the old generation is alive and votes, but not with those of the new one. Until both sides know a name,
/// nothing can differ.
fn another_cluster<'a>(ours: &str, theirs: &'a str) -> Option<&'a str> {
    (!ours.is_empty() && !theirs.is_empty() && ours != theirs).then_some(theirs)
}

fn network(picture: &Picture) -> Network {
    let host = &picture.facts.address.host;
    let family = match host.parse::<std::net::IpAddr>() {
        Ok(ip) if ip.is_ipv6() => "ipv6",
        Ok(_) => "ipv4",
        Err(_) => "name",
    };
    Network {
        advertise_host: host.clone(),
        advertise_host_family: family.to_owned(),
        alternate_ips: picture.facts.address.alternate_ips.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::another_cluster;

    #[test]
    fn only_two_known_names_can_differ() {
        for (ours, theirs, elsewhere) in [
            ("", "", None),
            ("", "c.1", None),
            ("c.1", "", None),
            ("c.1", "c.1", None),
            ("c.1", "c.1.2", Some("c.1.2")),
        ] {
            assert_eq!(another_cluster(ours, theirs), elsewhere, "{ours:?} and {theirs:?}");
        }
    }
}
