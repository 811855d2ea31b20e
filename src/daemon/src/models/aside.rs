//! Files that were moved out of the way of what is agreed: the cluster's log tells of them.

use std::path::PathBuf;

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_state::{Command, ModelSetAside, Outcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{http::error::ApiError, node::Shared, view::epoch_ms};

/// A file that lies aside now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Aside {
    pub(crate) name: ModelName,
    /// What it is, if it was read.
    pub(crate) sha256: Option<Digest>,
    pub(crate) path: PathBuf,
}

/// Body of `POST /api/models/set-aside`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAside {
    /// The model's file name.
    #[schema(value_type = String)]
    name: ModelName,
    /// What the file is, if it was read.
    #[schema(value_type = Option<String>)]
    sha256: Option<Digest>,
    /// Where it lies now.
    path: String,
    /// On which node.
    #[schema(value_type = String)]
    node: NodeId,
}

/// Answer to that.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Noted {
    success: bool,
}

impl SetAside {
    pub(crate) fn of(aside: &Aside, node: &NodeId) -> Self {
        let Aside { name, sha256, path } = aside;
        Self { name: name.clone(), sha256: *sha256, path: path.display().to_string(), node: node.clone() }
    }
}

/// On the leader: has it written down, once.
pub(crate) async fn record_set_aside(shared: &Shared, told: &SetAside) -> Result<Noted, ApiError> {
    let SetAside { name, sha256, path, node } = told;
    let event = ModelSetAside::event(name, *sha256, path, node, epoch_ms());
    // Each file gets a path of its own: told again, it is the same file.
    let request_id = Digest::of(format!("set aside\n{node}\n{path}").as_bytes()).to_string();
    let command = Command::Once { request_id, inner: Box::new(Command::Record { event }) };
    match shared.propose(command).await?.outcome {
        Outcome::Done | Outcome::Unchanged | Outcome::Duplicate => Ok(Noted { success: true }),
        Outcome::Refused { reason } => Err(ApiError::Refused(reason)),
    }
}
