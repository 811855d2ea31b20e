use ringrift_api::{Component, ComponentStatus, Health, HealthStatus, Status};

use super::Picture;

/// From here on the CPU is called busy, percent.
const CPU_BUSY: f64 = 80.0;
/// Warning and critical limits in percent, contract §6.
const MEMORY: (f64, f64) = (70.0, 80.0);
const DISK: (f64, f64) = (70.0, 96.0);

/// `GET /health`, contract §2.2.
pub(super) fn health(picture: &Picture, status: &Status) -> Health {
    let components = vec![subsystems(picture), resources(picture)];
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
fn timestamp(epoch_seconds: f64) -> String {
    jiff::Timestamp::from_millisecond((epoch_seconds * 1000.0) as i64).map_or_else(|_| String::new(), |t| t.to_string())
}

fn subsystems(picture: &Picture) -> Component {
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
    for subsystem in picture.subsystems.iter() {
        component.details.insert(subsystem.name.to_owned(), subsystem.silent_for.as_secs_f64().into());
    }
    component
}

/// A busy CPU is what a self-play node is for: it is named, and counts for nothing. Memory and disk can take a node down.
fn resources(picture: &Picture) -> Component {
    let resources = &picture.resources;
    let mut worst = ComponentStatus::Ok;
    let mut messages = Vec::new();
    if resources.cpu_percent >= CPU_BUSY {
        messages.push(format!("CPU busy at {:.0} %", resources.cpu_percent));
    }
    for (name, percent, (warning, critical)) in
        [("memory", resources.memory_percent, MEMORY), ("disk", resources.disk_percent, DISK)]
    {
        if percent >= critical {
            worst = ComponentStatus::Error;
            messages.push(format!("{name} at {percent:.0} %, critical from {critical:.0} %"));
        } else if percent >= warning {
            if worst == ComponentStatus::Ok {
                worst = ComponentStatus::Warning;
            }
            messages.push(format!("{name} at {percent:.0} %, warned of from {warning:.0} %"));
        }
    }
    if messages.is_empty() {
        messages.push(format!(
            "CPU {:.0} %, memory {:.0} %, disk {:.0} %",
            resources.cpu_percent, resources.memory_percent, resources.disk_percent
        ));
    }
    let mut component = Component::new("resources", worst, messages.join(", "));
    component.last_activity = Some(picture.now);
    component
}
