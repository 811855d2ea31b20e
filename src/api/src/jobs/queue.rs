use std::collections::BTreeMap;

use ringrift_config::NodeId;
use ringrift_job::{JobId, ParamValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::JobView;

/// Body of `POST /work/add`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkAdd {
    /// The class, or another name of it.
    pub work_type: String,
    /// The higher, the sooner.
    #[serde(default = "priority")]
    pub priority: i32,
    /// Values for the parameters of the class.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub config: BTreeMap<String, ParamValue>,
    /// How long it may take, in seconds.
    #[serde(default = "timeout")]
    pub timeout_seconds: f64,
    /// Jobs that must succeed first.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub depends_on: Vec<JobId>,
    /// How often it is tried; as its class says if nobody says.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Chosen by the caller, so that a repeated request is the same item; made by the daemon otherwise.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub work_id: Option<JobId>,
}

fn priority() -> i32 {
    50
}

fn timeout() -> f64 {
    3600.0
}

/// Body of `POST /work/add_batch`: at most 100 items, all of them or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkAddBatch {
    /// The items; `jobs` is another name for them.
    #[serde(alias = "jobs")]
    pub items: Vec<WorkAdd>,
}

/// Answer to `POST /work/add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkAdded {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Its name.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// `added`.
    pub status: String,
    /// The same as `job_id`.
    #[schema(value_type = String)]
    pub work_id: JobId,
    /// Its class.
    pub work_type: String,
    /// The higher, the sooner.
    pub priority: i32,
}

/// Answer to `POST /work/add_batch`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkBatchAdded {
    /// Whether all were added: items that are wrong are named in `errors`, and the others are added.
    pub success: bool,
    /// How many were added.
    pub count: u32,
    /// Their names, in the order of the items.
    #[schema(value_type = Vec<String>)]
    pub work_ids: Vec<JobId>,
    /// What is wrong with the others, with their place in the list.
    pub errors: Vec<String>,
}

/// Query or body of `/work/claim`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimRequest {
    /// The worker: a name of its own, or the node that it works on.
    #[serde(default)]
    pub node_id: String,
    /// Classes that it can do, as a list or with commas between them; any if it does not say.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub capabilities: Value,
}

/// Answer to `/work/claim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimAnswer {
    /// `claimed` or `no_work_available`.
    pub status: String,
    /// The item.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub work: Option<JobView>,
}

/// Body of `POST /work/start`, `/work/complete`, `/work/fail` and `/work/cancel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkChange {
    /// Which item.
    #[schema(value_type = String)]
    pub work_id: JobId,
    /// Who says so; it must be the worker that has it.
    #[serde(default)]
    pub node_id: Option<String>,
    /// The attempt that it is about, as the claim told it; a late word about an earlier one changes nothing.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// What came of it; kept as a sentence.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub result: Value,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
}

/// Answer to those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkChanged {
    /// `started`, `completed`, `failed`, `cancelled`, or `unchanged` if it is somebody else's by now.
    pub status: String,
    /// Which item.
    #[schema(value_type = String)]
    pub work_id: JobId,
}

/// How full the queue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backpressure {
    /// `none`, `soft` (callers should slow down) or `hard` (nothing more is taken).
    pub level: String,
    /// What counts: jobs that are not over and that somebody asked for.
    pub queued: u64,
    /// From here on the level is `soft`.
    pub soft_limit: u64,
    /// From here on it is `hard`.
    pub hard_limit: u64,
}

/// `GET /work/status`, `/work/history` and `/work/node/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WorkStatus {
    /// How many items the answer is about.
    pub total_items: u64,
    /// How many of each status.
    pub by_status: BTreeMap<String, u64>,
    /// How many of each class.
    pub by_type: BTreeMap<String, u64>,
    /// Those that wait, the next first; at most 100.
    pub pending: Vec<JobView>,
    /// Those that were given to somebody; at most 100.
    pub running: Vec<JobView>,
    /// Those that are over, the last first: of `/work/history` alone.
    pub items: Vec<JobView>,
    /// Counts since the cluster was formed, as far as its history goes.
    pub stats: BTreeMap<String, u64>,
    /// Whether this node leads.
    pub is_leader: bool,
    /// Who leads.
    #[schema(value_type = Option<String>)]
    pub leader_id: Option<NodeId>,
    /// How full it is.
    pub backpressure: Backpressure,
}
