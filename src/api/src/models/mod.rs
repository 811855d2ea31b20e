//! Models: what every node shall have, what it has, and the requests about it.

mod list;
mod manifest;
mod operation;
mod progress;
mod upkeep;

pub use list::{DistributionPhase, DistributionReport, ModelEntry, ModelList, ModelVersion, NodeFailure};
pub use manifest::{ClusterManifest, ManifestFile, ManifestState, NodeManifest};
pub use operation::{
    DistributeRequest, Distributed, DistributionStarted, ModelChanged, ModelRemoved, ModelUploaded, PromoteRequest,
    RemoveRequest, RollbackRequest, WhichModel,
};
pub use progress::{ModelProgress, ModelsProgress, NodeProgress};
pub use upkeep::{GcItem, GcReport, GcRequest, LinkReport, ModelLink, VerifiedFile, VerifyReport, VerifyRequest};
