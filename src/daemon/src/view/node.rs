use ringrift_api::{EligibilityState, Liveness, Node, PeerNode};
use ringrift_config::{Gpu, Host, NodeId};
use ringrift_health::Resources;
use ringrift_members::{Member, State};

use super::{Picture, gpu};
use crate::{facts::NodeFacts, jobs::JobFacts};

/// The contract's words for what the members' judgement says.
pub(crate) fn liveness(state: State) -> Liveness {
    match state {
        State::Alive => Liveness::Alive,
        State::Suspect => Liveness::Suspect,
        State::Dead => Liveness::Dead,
        State::Left => Liveness::Left,
        State::Unseen => Liveness::Unseen,
    }
}

/// The contract's words for what was agreed on a node's work.
pub(crate) fn eligibility(agreed: ringrift_state::Eligibility) -> EligibilityState {
    match agreed {
        ringrift_state::Eligibility::Eligible => EligibilityState::Eligible,
        ringrift_state::Eligibility::Cordoned => EligibilityState::Cordoned,
        ringrift_state::Eligibility::Draining => EligibilityState::Draining,
    }
}

/// This node.
pub(crate) fn own(picture: &Picture) -> Node {
    let mut node = of(picture, &picture.node, Some(&picture.facts));
    fill_resources(&mut node, &picture.resources);
    let mut live = NodeFacts::default();
    live.set_gpus(&picture.gpus);
    gpu::fill(&mut node, host_gpu(picture, &picture.node), &live);
    node.last_heartbeat = picture.now;
    Liveness::Alive.as_str().clone_into(&mut node.status);
    node
}

/// Another node, with what is known of its life.
pub(crate) fn peer(picture: &Picture, member: &Member<NodeFacts>) -> PeerNode {
    let node = of(picture, &member.id, member.facts.as_deref());
    let last_seen = picture.last_seen(member);
    PeerNode::new(node, liveness(member.state), last_seen, picture.now, picture.is_voter(&member.id))
}

/// A host of the file that is not expected to run: it keeps the file's own word for its state.
pub(crate) fn retired(picture: &Picture, host: &Host) -> Node {
    let mut node = of(picture, &host.id, None);
    node.status = host.status.to_string();
    node
}

fn of(picture: &Picture, id: &NodeId, facts: Option<&NodeFacts>) -> Node {
    let mut node = Node::unknown(id.clone());
    if let Some(host) = picture.hosts.as_ref().and_then(|h| h.hosts.get(id)) {
        fill_host(&mut node, host);
        node.port = *picture.settings.http_port;
    }
    if let Some(facts) = facts {
        fill_facts(&mut node, host_gpu(picture, id), facts);
    }
    node.eligibility = eligibility(picture.agreed.state.eligibility_of(id));
    // Gossip may still carry a role from before the last election.
    let leads = picture.leadership.leader.as_ref() == Some(id);
    if leads {
        "leader".clone_into(&mut node.role);
    } else if node.role == "leader" {
        "follower".clone_into(&mut node.role);
    }
    node
}

/// The GPUs that the hosts file promises.
fn host_gpu<'a>(picture: &'a Picture, id: &NodeId) -> Option<&'a Gpu> {
    picture.hosts.as_ref()?.hosts.get(id)?.gpu.as_ref()
}

fn fill_host(node: &mut Node, host: &Host) {
    node.host = host.dial_host().unwrap_or_default();
    node.cpu_count = host.cpus.unwrap_or_default();
    node.memory_gb = host.memory_gb.unwrap_or_default();
    if let Some(gpu) = &host.gpu {
        node.has_gpu = true;
        node.gpu_count = gpu.count;
        node.gpu_name.clone_from(&gpu.name);
        node.gpu_type.clone_from(&gpu.name);
        node.gpu_memory_gb = f64::from(host.gpu_vram_gb.unwrap_or_default() as u32);
    }
    node.max_selfplay_slots = host.max_parallel_jobs.unwrap_or_default();
    node.capabilities = host.capabilities().iter().map(ToString::to_string).collect();
    node.nat_blocked = host.dials_out_only();
    node.retired = !host.is_ready();
    node.tailscale_ip = host.tailscale_ip.clone().unwrap_or_default();
}

/// What the node says of itself, with the GPUs that the hosts file promises.
pub(crate) fn fill_facts(node: &mut Node, promised: Option<&Gpu>, facts: &NodeFacts) {
    if !facts.address.host.is_empty() {
        node.host.clone_from(&facts.address.host);
        node.port = facts.address.http_port;
    }
    node.alternate_ips.clone_from(&facts.address.alternate_ips);
    node.version.clone_from(&facts.version);
    node.code_version.clone_from(&facts.version);
    node.leader_id.clone_from(&facts.leader);
    node.leader_term = facts.term;
    node.role.clone_from(&facts.role);
    node.nat_blocked |= facts.dials_out_only;
    node.relay_via = facts.relay_via.first().map(ToString::to_string).unwrap_or_default();
    fill_resources(node, &facts.resources);
    gpu::fill(node, promised, facts);
    fill_jobs(node, &facts.jobs);
}

fn fill_jobs(node: &mut Node, jobs: &JobFacts) {
    node.selfplay_jobs = jobs.selfplay;
    node.training_jobs = jobs.training;
    node.active_job_count = jobs.active;
    if !jobs.runner.is_empty() {
        node.max_selfplay_slots = jobs.slots;
    }
}

fn fill_resources(node: &mut Node, resources: &Resources) {
    if resources.cpu_count == 0 {
        return;
    }
    node.cpu_count = resources.cpu_count;
    node.cpu_percent = resources.cpu_percent;
    node.memory_gb = resources.memory_gb.round() as u64;
    node.memory_percent = resources.memory_percent;
    node.disk_percent = resources.disk_percent;
    node.disk_free_gb = resources.disk_free_gb;
    // One figure to sort by: what is nearest to its limit.
    node.load_score = resources.cpu_percent.max(resources.memory_percent) / 100.0;
}
