use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// `GET /health`: is this node well?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether no component is in error.
    pub healthy: bool,
    /// The same in three steps.
    pub status: HealthStatus,
    /// This node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Its role.
    pub role: String,
    /// Whether it leads.
    pub is_leader: bool,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// How long ago the leader was last heard of; `null` without a leader.
    pub leader_last_seen_seconds: Option<f64>,
    /// 0 to 100.
    pub cpu_percent: f64,
    /// 0 to 100.
    pub memory_percent: f64,
    /// 0 to 100.
    pub disk_percent: f64,
    /// 0 to 100.
    pub gpu_percent: f64,
    /// 0 to 100.
    pub gpu_memory_percent: f64,
    /// Self-play jobs on this node.
    pub selfplay_jobs: u32,
    /// Training jobs on this node.
    pub training_jobs: u32,
    /// How many other nodes answer.
    pub active_peers: u32,
    /// How many other nodes are known.
    pub total_peers: u32,
    /// Seconds since this daemon started.
    pub uptime_seconds: f64,
    /// When this was put together: ISO 8601, UTC.
    pub timestamp: String,
    /// What was looked at.
    pub components: Vec<Component>,
}

/// How well, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// Nothing is wrong.
    Healthy,
    /// It serves, and something needs attention.
    Degraded,
    /// A component is in error.
    Unhealthy,
}

impl HealthStatus {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The overall word for these components.
    pub fn of(components: &[Component]) -> Self {
        components.iter().map(|c| c.status).fold(Self::Healthy, |worst, status| match (worst, status) {
            (_, ComponentStatus::Error) | (Self::Unhealthy, _) => Self::Unhealthy,
            (_, ComponentStatus::Warning) | (Self::Degraded, _) => Self::Degraded,
            (Self::Healthy, ComponentStatus::Ok | ComponentStatus::Unknown) => Self::Healthy,
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Component {
    /// For example `resources`.
    pub name: String,
    /// Whether it is not in error.
    pub healthy: bool,
    /// How it is.
    pub status: ComponentStatus,
    /// A sentence for people.
    pub message: String,
    /// When it last did something, seconds since the epoch.
    pub last_activity: Option<f64>,
    /// Facts.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// Of `coordinator_managers`: the subsystems that have made no progress for longer than they may, by their keys in
    /// `details`. Not sent where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck: Vec<String>,
}

/// How a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComponentStatus {
    /// As it should be.
    Ok,
    /// Needs attention.
    Warning,
    /// Does not do its work.
    Error,
    /// Cannot be told.
    Unknown,
}

impl ComponentStatus {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl Component {
    /// A component without details; `healthy` follows from the status.
    pub fn new(name: impl Into<String>, status: ComponentStatus, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            healthy: status != ComponentStatus::Error,
            status,
            message: message.into(),
            last_activity: None,
            details: Map::new(),
            stuck: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_well_as_its_worst_component() {
        use ComponentStatus::{Error, Ok, Unknown, Warning};
        for (statuses, expected) in [
            (vec![], HealthStatus::Healthy),
            (vec![Ok, Unknown], HealthStatus::Healthy),
            (vec![Ok, Warning, Ok], HealthStatus::Degraded),
            (vec![Warning, Error, Ok], HealthStatus::Unhealthy),
            (vec![Error, Warning], HealthStatus::Unhealthy),
        ] {
            let components: Vec<_> = statuses.iter().map(|s| Component::new("x", *s, "")).collect();
            assert_eq!(HealthStatus::of(&components), expected, "{statuses:?}");
        }
    }
}
