use ringrift_blob::{Digest, InvalidModelName, ModelName};
use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DistributionPhase;

/// Body of `POST /api/models/promote`. The asked node must hold the bytes: see `POST /models/upload` on 8767.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteRequest {
    /// The model's file name; this or `config`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<ModelName>,
    /// Board and players, for example `hex8_2p`, which stands for `canonical_hex8_2p.pth`; this or `name`.
    #[serde(default)]
    pub config: Option<String>,
    /// SHA-256 of the bytes.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Their rating, if somebody measured it.
    #[serde(default)]
    pub elo: Option<f64>,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
    /// Also when they are current already; every node then hashes its copy again.
    #[serde(default)]
    pub force: bool,
}

/// Body of `POST /api/models/rollback`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The model's file name; this or `config`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<ModelName>,
    /// Board and players, for example `hex8_2p`; this or `name`.
    #[serde(default)]
    pub config: Option<String>,
    /// SHA-256 of the earlier version, or its first 8 digits or more; without it, the version before the current one.
    #[serde(default)]
    pub to: Option<String>,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// Body of `POST /api/models/remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The model's file name; this or `config`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub name: Option<ModelName>,
    /// Board and players, for example `hex8_2p`; this or `name`.
    #[serde(default)]
    pub config: Option<String>,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// Answer to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelRemoved {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The name that is no model's any more.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// What was current until then.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Log index of the removal.
    pub generation: u64,
    /// A sentence for people.
    pub message: String,
}

/// Answer to a promotion and a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelChanged {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The model.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// What is current now.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Its bytes.
    pub size: u64,
    /// Log index of its promotion.
    pub generation: u64,
    /// Log index of the entry that started its distribution: what to wait for in `/api/models/progress`.
    pub distribution_generation: u64,
    /// Whether that is new.
    pub changed: bool,
    /// A sentence for people.
    pub message: String,
}

/// Body of `POST /api/models/distribute`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DistributeRequest {
    /// The model; this or `all`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelName>,
    /// Every promoted model; this or `model`.
    #[serde(default)]
    pub all: bool,
    /// Only this node looks again what it has.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub host: Option<NodeId>,
    /// Also when a distribution is running; every node then hashes its copy again.
    #[serde(default)]
    pub force: bool,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// Answer to that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Distributed {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The models that were asked for.
    pub models: Vec<DistributionStarted>,
    /// A sentence for people.
    pub message: String,
}

/// A distribution that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DistributionStarted {
    /// The model.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// SHA-256 of the current version.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// Log index of the entry that started it: what to wait for in `/api/models/progress`.
    pub distribution_generation: u64,
    /// How it stands.
    pub state: DistributionPhase,
}

/// Answer to `POST /models/upload` on 8767.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelUploaded {
    /// Always `true`; errors have their own shape.
    #[serde(default)]
    pub success: bool,
    /// SHA-256 of the bytes as they were stored.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// How many.
    pub size: u64,
}

/// Which model a request is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhichModel {
    /// Neither name nor configuration, or both.
    #[error("the body must have either \"name\" or \"config\"")]
    NotOne,
    /// It is none.
    #[error(transparent)]
    Invalid(#[from] InvalidModelName),
}

impl PromoteRequest {
    /// The file name that is meant.
    pub fn model(&self) -> Result<ModelName, WhichModel> {
        which(self.name.as_ref(), self.config.as_deref())
    }
}

impl RollbackRequest {
    /// The file name that is meant.
    pub fn model(&self) -> Result<ModelName, WhichModel> {
        which(self.name.as_ref(), self.config.as_deref())
    }
}

impl RemoveRequest {
    /// The file name that is meant.
    pub fn model(&self) -> Result<ModelName, WhichModel> {
        which(self.name.as_ref(), self.config.as_deref())
    }
}

fn which(name: Option<&ModelName>, config: Option<&str>) -> Result<ModelName, WhichModel> {
    match (name, config) {
        (Some(name), None) => Ok(name.clone()),
        (None, Some(config)) => Ok(ModelName::canonical(config)?),
        (None, None) | (Some(_), Some(_)) => Err(WhichModel::NotOne),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_its_file_or_its_configuration() {
        let request = |name: Option<&str>, config: Option<&str>| RollbackRequest {
            name: name.map(|name| name.parse().unwrap()),
            config: config.map(str::to_owned),
            ..RollbackRequest::default()
        };
        assert_eq!(request(None, Some("hex8_2p")).model().unwrap().as_str(), "canonical_hex8_2p.pth");
        assert_eq!(request(Some("x.pth"), None).model().unwrap().as_str(), "x.pth");
        for bad in [request(None, None), request(Some("x"), Some("y")), request(None, Some("../y"))] {
            assert!(bad.model().is_err(), "{bad:?}");
        }
    }
}
