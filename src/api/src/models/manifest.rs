use std::fmt;

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Liveness;

/// `GET /api/models/manifest`: which node holds which file, of what size and digest, verified when.
///
/// It is what the nodes said last, gathered by gossip: a node that is dead is shown with what it had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterManifest {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Every known node, by name.
    pub nodes: Vec<NodeManifest>,
    /// The current leader.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// Index of the agreed state that the files are compared with.
    pub state_index: u64,
    /// When this was put together, seconds since the epoch.
    pub timestamp: f64,
}

/// What one node holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeManifest {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What is believed about its daemon.
    pub state: Liveness,
    /// Whether it shall have the models.
    pub eligible: bool,
    /// When it last said what it holds, seconds since the epoch; `null` when it never did.
    pub reported_at: Option<f64>,
    /// Free bytes where it stores models; `null` when it did not say.
    pub free_bytes: Option<u64>,
    /// Its files, by name, then digest. A model that it lacks altogether is one of them.
    pub files: Vec<ManifestFile>,
}

/// One file on one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManifestFile {
    /// The model whose file it is; `null` for a version that no name leads to any more.
    #[schema(value_type = Option<String>)]
    pub name: Option<ModelName>,
    /// SHA-256 of the bytes.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// How many bytes it has when it is whole.
    pub size: u64,
    /// How it is.
    pub state: ManifestState,
    /// When all bytes were last hashed there, seconds since the epoch; `null` when they never were.
    pub verified_at: Option<f64>,
    /// How many bytes are there and verified: `size` of a whole file.
    pub have_bytes: u64,
    /// What is wrong, for people; empty when nothing is.
    pub message: String,
}

/// How a file on a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestState {
    /// Whole, verified, and the current version under its name.
    Verified,
    /// Whole and verified, and an earlier version, kept for a rollback.
    Kept,
    /// Some bytes are missing, and being fetched.
    Fetching,
    /// It shall be there, and is not.
    Missing,
    /// The bytes under the name are others, and it is about to be replaced.
    Outdated,
    /// Its bytes had changed; it was set aside and is fetched again.
    Damaged,
    /// The disk is too full for it.
    NoSpace,
}

impl ManifestState {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Kept => "kept",
            Self::Fetching => "fetching",
            Self::Missing => "missing",
            Self::Outdated => "outdated",
            Self::Damaged => "damaged",
            Self::NoSpace => "no_space",
        }
    }
}

impl fmt::Display for ManifestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
