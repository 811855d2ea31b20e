use ringrift_api::{Component, ComponentStatus, Health, HealthStatus, Status};
use ringrift_state::DistributionState;

use super::{Picture, components, gpu, holding::Holding};

/// From here on the CPU is called busy, percent.
const CPU_BUSY: f64 = 80.0;

/// `GET /health`, contract §2.2.
pub(super) fn health(picture: &Picture, status: &Status) -> Health {
    let components = vec![subsystems(picture), resources(picture), models(picture), gpu::component(picture)];
    let overall = overall(&components, status.leader_id.is_some());
    Health {
        // A component in `error` is the only thing that makes a node unhealthy.
        healthy: overall != HealthStatus::Unhealthy,
        status: overall,
        node_id: status.node_id.clone(),
        role: status.role.clone(),
        is_leader: status.is_leader,
        leader_id: status.leader_id.clone(),
        leader_last_seen_seconds: picture.leadership.leader_age.map(|d| d.as_secs_f64()),
        cpu_percent: status.self_node.cpu_percent,
        memory_percent: status.self_node.memory_percent,
        disk_percent: status.self_node.disk_percent,
        gpu_percent: status.self_node.gpu_percent,
        gpu_memory_percent: status.self_node.gpu_memory_percent,
        selfplay_jobs: status.self_node.selfplay_jobs,
        training_jobs: status.self_node.training_jobs,
        active_peers: status.active_peers,
        total_peers: status.total_peers,
        uptime_seconds: status.uptime_seconds,
        timestamp: timestamp(picture.now),
        components,
    }
}

/// As well as the worst component; without a leader at best degraded, since nothing can be changed then.
fn overall(components: &[Component], has_leader: bool) -> HealthStatus {
    match HealthStatus::of(components) {
        HealthStatus::Healthy if !has_leader => HealthStatus::Degraded,
        other => other,
    }
}

/// ISO 8601 in UTC.
pub(crate) fn timestamp(epoch_seconds: f64) -> String {
    jiff::Timestamp::from_millisecond((epoch_seconds * 1000.0) as i64).map_or_else(|_| String::new(), |t| t.to_string())
}

pub(super) fn subsystems(picture: &Picture) -> Component {
    let stuck: Vec<_> = picture.subsystems.iter().filter(|s| s.is_stuck()).collect();
    let mut component = if stuck.is_empty() {
        let message = format!("{} subsystems make progress", picture.subsystems.len());
        Component::new("coordinator_managers", ComponentStatus::Ok, message)
    } else {
        let text: Vec<_> =
            stuck.iter().map(|s| format!("{} is stuck for {} s", s.name, s.silent_for.as_secs())).collect();
        Component::new("coordinator_managers", ComponentStatus::Error, text.join(", "))
    };
    component.last_activity = Some(picture.now);
    component.stuck = stuck.iter().map(|subsystem| subsystem.name.to_owned()).collect();
    for subsystem in picture.subsystems.iter() {
        component.details.insert(subsystem.name.to_owned(), subsystem.silent_for.as_secs_f64().into());
    }
    component
}

/// A busy CPU is what a self-play node is for: it is named, and counts for nothing. Memory and disk can take a node down.
fn resources(picture: &Picture) -> Component {
    let resources = &picture.resources;
    let mut messages = Vec::new();
    if resources.cpu_percent >= CPU_BUSY {
        messages.push(format!("CPU busy at {:.0} %", resources.cpu_percent));
    }
    let (worst, over) = components::judged(&components::storage(picture));
    messages.extend(over);
    let cleanup = f64::from(*picture.settings.limits.disk_cleanup);
    if (cleanup..f64::from(*picture.settings.limits.disk_warning)).contains(&resources.disk_percent) {
        let percent = resources.disk_percent;
        messages.push(format!(
            "disk at {percent:.0} %, worth making room from {cleanup:.0} %: nothing is deleted by itself"
        ));
    }
    components::named_resources(picture, worst, messages)
}

/// This node's own models. Distributions that did not reach others are told in the details: that is not this node's health.
fn models(picture: &Picture) -> Component {
    let holding = Holding::of(picture, &picture.node);
    let (status, message) = if !holding.trouble.is_empty() {
        (ComponentStatus::Error, format!("no part in models: {}", holding.trouble))
    } else if !holding.no_space.is_empty() || !holding.stuck.is_empty() {
        let why: Vec<&str> = holding.no_space.iter().chain(&holding.stuck).map(String::as_str).collect();
        (ComponentStatus::Warning, format!("{}; {}", holding.count(), why.join("; ")))
    } else if holding.promoted == 0 {
        (ComponentStatus::Ok, "no model was promoted yet".to_owned())
    } else {
        (ComponentStatus::Ok, holding.count())
    };
    let mut component = Component::new("models", status, message);
    component.last_activity = holding.last_verified;
    let records = &picture.agreed.state.models;
    let running = records.values().filter(|record| record.distribution.is_running()).count();
    let failed =
        records.iter().filter(|(_, record)| matches!(record.distribution.state, DistributionState::Failed { .. }));
    let failed: Vec<&str> = failed.map(|(name, _)| name.as_str()).collect();
    component.details.extend([
        ("promoted".to_owned(), holding.promoted.into()),
        ("verified".to_owned(), holding.verified.into()),
        ("have_bytes".to_owned(), holding.have_bytes.into()),
        ("of_bytes".to_owned(), holding.of_bytes.into()),
        ("bytes_per_second".to_owned(), holding.bytes_per_second.into()),
        ("free_bytes".to_owned(), holding.free_bytes.into()),
        ("distributions_running".to_owned(), running.into()),
        ("distributions_failed".to_owned(), failed.into()),
    ]);
    component
}
