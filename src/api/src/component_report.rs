use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Component, ComponentStatus};

/// `GET /api/health/components`: how the parts of the training pipeline are on one node (contract §6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ComponentReport {
    /// Whether no component is in error.
    pub healthy: bool,
    /// The node that was looked at.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// When this was put together: ISO 8601, UTC.
    pub timestamp: String,
    /// `data_sync, training, evaluation, coordinator, coordinator_managers, resources`, in this order.
    pub components: Vec<Component>,
    /// What is in error: the component, and its message.
    pub issues: Vec<String>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}

/// `GET /api/health/components?cluster=true`: the same of every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterComponents {
    /// Whether every node that should run answered, and no component of any is in error.
    pub healthy: bool,
    /// When this was put together: ISO 8601, UTC.
    pub timestamp: String,
    /// Every node that should run or does, by name.
    pub nodes: Vec<NodeComponents>,
    /// What is in error: the node, the component, and its message.
    pub issues: Vec<String>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}

/// One node's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeComponents {
    /// Its name.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Its report; `null` if it gave none.
    pub report: Option<ComponentReport>,
    /// Why there is none; `null` if there is one.
    pub error: Option<String>,
}

impl ComponentReport {
    /// The report of these components.
    pub fn of(node_id: NodeId, timestamp: String, components: Vec<Component>) -> Self {
        let told = |status: ComponentStatus| {
            let of_status = components.iter().filter(|component| component.status == status);
            of_status.map(|component| format!("{}: {}", component.name, component.message)).collect::<Vec<_>>()
        };
        let (issues, warnings) = (told(ComponentStatus::Error), told(ComponentStatus::Warning));
        Self { healthy: components.iter().all(|c| c.healthy), node_id, timestamp, components, issues, warnings }
    }
}

impl ClusterComponents {
    /// The report of these nodes.
    pub fn of(timestamp: String, mut nodes: Vec<NodeComponents>) -> Self {
        nodes.sort_by(|a, b| a.node_id.cmp(&b.node_id));
        let (mut issues, mut warnings) = (Vec::new(), Vec::new());
        for node in &nodes {
            let id = &node.node_id;
            issues.extend(node.error.iter().map(|error| format!("{id}: {error}")));
            if let Some(report) = &node.report {
                issues.extend(report.issues.iter().map(|issue| format!("{id}: {issue}")));
                warnings.extend(report.warnings.iter().map(|warning| format!("{id}: {warning}")));
            }
        }
        let well = |node: &NodeComponents| node.report.as_ref().is_some_and(|report| report.healthy);
        Self { healthy: nodes.iter().all(well), timestamp, nodes, issues, warnings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issues_are_errors_and_warnings_are_warnings_of_every_node() {
        let component = |name: &str, status| Component::new(name, status, format!("{name} says so"));
        let report = |id: &str, statuses: &[ComponentStatus]| {
            let components = statuses.iter().zip(["a", "b"]).map(|(status, name)| component(name, *status)).collect();
            ComponentReport::of(id.parse().unwrap(), "now".to_owned(), components)
        };
        let well = report("n2", &[ComponentStatus::Warning, ComponentStatus::Unknown]);
        assert_eq!((well.healthy, &well.issues, &well.warnings), (true, &vec![], &vec!["a: a says so".to_owned()]));
        let ill = report("n1", &[ComponentStatus::Ok, ComponentStatus::Error]);
        assert!(!ill.healthy);
        let node = |id: &str, report: Option<ComponentReport>, error: Option<&str>| NodeComponents {
            node_id: id.parse().unwrap(),
            report,
            error: error.map(str::to_owned),
        };
        let nodes =
            vec![node("n3", None, Some("is dead")), node("n2", Some(well.clone()), None), node("n1", Some(ill), None)];
        let cluster = ClusterComponents::of("now".to_owned(), nodes);
        assert!(!cluster.healthy);
        assert_eq!(cluster.issues, ["n1: b: b says so", "n3: is dead"]);
        assert_eq!(cluster.warnings, ["n2: a: a says so"]);
        assert!(ClusterComponents::of("now".to_owned(), vec![node("n2", Some(well), None)]).healthy);
    }
}
