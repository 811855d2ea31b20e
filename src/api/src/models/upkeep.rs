//! What one node does with its own files; any node is asked through `/api/node/{id}/…`.

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Body of `POST /api/models/verify`: the asked node reads and hashes its files, whatever it believes about them. May be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The model; all promoted ones without it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelName>,
}

/// Answer to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Whether all files are right.
    pub success: bool,
    /// The node whose files they are.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The files, by name.
    pub files: Vec<VerifiedFile>,
    /// When, seconds since the epoch.
    pub timestamp: f64,
}

/// A file that was hashed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VerifiedFile {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// SHA-256 that it shall have: that of the current version.
    #[schema(value_type = String)]
    pub expected: Digest,
    /// SHA-256 of the bytes under the name just now; `null` when the file is not there or cannot be read.
    #[schema(value_type = Option<String>)]
    pub found: Option<Digest>,
    /// Its bytes; 0 when it is not there.
    pub size: u64,
    /// Whether both copies, the stored one and the one under the name, are right.
    pub ok: bool,
    /// What is wrong and what is done about it, for people; empty when nothing is.
    pub message: String,
    /// How long the hashing took.
    pub seconds: f64,
}

/// Body of `POST /api/models/gc`: the asked node removes stored versions that nothing needs. May be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GcRequest {
    /// Only say what would be removed.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GcReport {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The node whose store it is.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// Whether nothing was really removed.
    pub dry_run: bool,
    /// What was, or would be, removed.
    pub removed: Vec<GcItem>,
    /// The bytes of that.
    pub freed_bytes: u64,
    /// How many versions stay.
    pub kept: u32,
    /// The bytes of those.
    pub kept_bytes: u64,
}

/// A version that nothing needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GcItem {
    /// SHA-256 of it.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Its bytes on the disk.
    pub size: u64,
    /// Under which names it was current once, as far as is known.
    #[schema(value_type = Vec<String>)]
    pub names: Vec<ModelName>,
    /// Why it is not needed, for people.
    pub reason: String,
}

/// Answer to `POST /api/models/link`: the asked node makes its links `ringrift_best_*` right. The request has no body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkReport {
    /// Whether every link is right now.
    pub success: bool,
    /// The node whose links they are.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The links, by name.
    pub links: Vec<ModelLink>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelLink {
    /// Its name, for example `ringrift_best_hex8_2p.pth`.
    pub link: String,
    /// Where it leads, for example `canonical_hex8_2p.pth`.
    #[schema(value_type = String)]
    pub target: ModelName,
    /// Whether it is right now.
    pub ok: bool,
    /// Whether it was not before.
    pub changed: bool,
    /// What was or is wrong, for people; empty when nothing is.
    pub message: String,
}
