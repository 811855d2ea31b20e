use ringrift_config::NodeId;
use ringrift_job::JobId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::JobStatus;

/// `GET /api/jobs/{id}/why`: why a job is where it is, or why it is nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobWhy {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Which job.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Where it stands.
    pub status: JobStatus,
    /// The reason in one sentence.
    pub summary: String,
    /// Nodes, with what spoke for or against them: of a job that a node has, as it was when that was decided.
    pub nodes: Vec<NodeVerdict>,
}

/// What was decided about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has, or gets, the job.
    Chosen,
    /// It could have it, and another one is better.
    Suitable,
    /// It cannot have it.
    PassedOver,
}

/// A node, and what spoke for or against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeVerdict {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What was decided.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
}
