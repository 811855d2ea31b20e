use std::fmt;

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/models`: every promoted model, and how far it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The models, by name.
    pub models: Vec<ModelEntry>,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// Index of the agreed state that this was read from.
    pub state_index: u64,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelEntry {
    /// Its file name, for example `canonical_hex8_2p.pth`.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// For example `hex8_2p`; `null` when the name does not tell.
    pub config_key: Option<String>,
    /// For example `hex8`.
    pub board_type: Option<String>,
    /// For example 2.
    pub num_players: Option<u32>,
    /// SHA-256 of the current version.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// Its rating, if somebody measured it.
    pub elo: Option<f64>,
    /// Log index of its promotion: of two versions the later has the higher one.
    pub generation: u64,
    /// When it was promoted, seconds since the epoch.
    pub promoted_at: f64,
    /// Who asked for it; empty when nobody said.
    pub by: String,
    /// The node that had it first.
    #[schema(value_type = String)]
    pub source: NodeId,
    /// How many eligible nodes have verified it, as far as the asked node knows.
    pub nodes_holding: u32,
    /// How many nodes shall have it.
    pub nodes_eligible: u32,
    /// How its distribution stands.
    pub distribution: DistributionReport,
    /// What was current before, the latest first.
    pub history: Vec<ModelVersion>,
}

/// How a distribution stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DistributionReport {
    /// In one word.
    pub state: DistributionPhase,
    /// Log index of the entry that started it: an attempt that is asked for again has a higher one.
    pub generation: u64,
    /// Who asked for it; empty when nobody said.
    pub by: String,
    /// Whether every node hashes its copy again.
    pub force: bool,
    /// When it began, seconds since the epoch.
    pub started_at: f64,
    /// When it ended; `null` while it runs.
    pub ended_at: Option<f64>,
    /// How long it took; `null` while it runs.
    pub duration_seconds: Option<f64>,
    /// How many nodes had it at its end; 0 while it runs.
    pub nodes_succeeded: u32,
    /// Which had not, and why. At most 32 are named.
    pub nodes_failed: Vec<NodeFailure>,
    /// How many more had not.
    pub nodes_failed_omitted: u32,
}

/// How a distribution stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DistributionPhase {
    /// Some eligible node has not verified it yet.
    Running,
    /// Every eligible node has.
    Complete,
    /// It took too long; the nodes go on trying.
    Failed,
}

impl DistributionPhase {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for DistributionPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A node that did not get a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeFailure {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Why, in a few words.
    pub reason: String,
}

/// An earlier promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelVersion {
    /// SHA-256 of the bytes.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// How many bytes.
    pub size: u64,
    /// Its rating, if somebody measured it.
    pub elo: Option<f64>,
    /// Log index of its promotion.
    pub generation: u64,
    /// When it was promoted, seconds since the epoch.
    pub promoted_at: f64,
    /// Who asked for it; empty when nobody said.
    pub by: String,
    /// The node that had it first.
    #[schema(value_type = String)]
    pub source: NodeId,
    /// Whether a rollback to it needs no file: its chunks are still known.
    pub available: bool,
}
