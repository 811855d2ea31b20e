use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DistributionPhase, ManifestState};

/// `GET /api/models/progress?model=NAME`: how far each model is on each node; of all models without `model`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelsProgress {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The models, by name.
    pub models: Vec<ModelProgress>,
    /// Index of the agreed state that this was compared with.
    pub state_index: u64,
    /// When this was put together, seconds since the epoch.
    pub timestamp: f64,
}

/// How far one model is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelProgress {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// SHA-256 of the current version.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// Log index of its promotion.
    pub generation: u64,
    /// Log index of the entry that started this distribution.
    pub distribution_generation: u64,
    /// How its distribution stands, as all voters agree.
    pub state: DistributionPhase,
    /// When it began, seconds since the epoch.
    pub started_at: f64,
    /// How many eligible nodes have verified it.
    pub nodes_verified: u32,
    /// How many nodes shall have it.
    pub nodes_eligible: u32,
    /// The eligible nodes, by name.
    pub nodes: Vec<NodeProgress>,
}

/// How far one model is on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeProgress {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// How it stands there.
    pub state: ManifestState,
    /// Bytes that it has verified.
    pub have_bytes: u64,
    /// Bytes of the model.
    pub of_bytes: u64,
    /// How fast they come, by that node's own count; 0 when none come.
    pub bytes_per_second: f64,
    /// From how many nodes.
    pub sources: u32,
    /// What is wrong, for people; empty when nothing is.
    pub message: String,
}
