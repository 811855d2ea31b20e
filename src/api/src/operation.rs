//! Bodies of the requests that change something, and of their answers.

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::EligibilityState;

/// Body of `POST /api/nodes/{id}/cordon`, `uncordon` and `drain`. May be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CordonRequest {
    /// Why, for the other operators and the event log.
    #[serde(default)]
    pub reason: Option<String>,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// Answer to those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EligibilityChanged {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What it may do now.
    pub state: EligibilityState,
    /// Whether that is new.
    pub changed: bool,
    /// A sentence for people.
    pub message: String,
}

/// Body of `POST /api/leader/transfer`. May be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferRequest {
    /// The voter that shall lead; without one, the voter whose log is most complete.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub to: Option<NodeId>,
}

/// Answer to that, sent after the new leader was seen to lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaderTransferred {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Who led before.
    #[schema(value_type = String)]
    pub from: NodeId,
    /// Who leads now.
    #[schema(value_type = String)]
    pub leader_id: NodeId,
    /// The new term.
    pub term: u64,
    /// A sentence for people.
    pub message: String,
}

/// Answer to `POST /api/reload`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The node that read its files again.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// SHA-256 of the hosts file that it has loaded now; empty without one.
    pub hosts_revision: String,
    /// What is different now, one sentence each; empty when nothing is.
    pub changes: Vec<String>,
    /// Settings that were changed and are in force after a restart alone, one sentence each.
    #[serde(default)]
    pub need_restart: Vec<String>,
    /// What the files deserve to be warned of.
    pub warnings: Vec<String>,
    /// The change of the voters that follows from it; `null` when there is none.
    pub voters: Option<VoterChange>,
    /// A sentence for people.
    pub message: String,
}

/// A change of the voters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoterChange {
    /// Who votes until then.
    #[schema(value_type = Vec<String>)]
    pub from: Vec<NodeId>,
    /// Who shall vote.
    #[schema(value_type = Vec<String>)]
    pub to: Vec<NodeId>,
    /// Whether it is done already; otherwise the leader is about to do it.
    pub done: bool,
}

/// Answer to `POST /api/snapshot/restore`, whose body is what `GET /api/snapshot` gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotRestored {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Index of the log entry that restored it.
    pub index: u64,
    /// A sentence for people.
    pub message: String,
}
