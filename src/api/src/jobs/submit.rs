use std::collections::BTreeMap;

use ringrift_config::NodeId;
use ringrift_job::{JobId, Limits, ParamValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AttemptView, JobStatus, JobView};

/// Body of `POST /api/jobs/submit` and `POST /start_job`.
///
/// Every key that is none of these is a value for a parameter of the class; old clients send `board_type`, `num_players`,
/// `engine_mode` and `total_games` so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubmitRequest {
    /// The class, or another name of it.
    pub job_type: String,
    /// The higher, the sooner; 50 if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Jobs that must succeed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub depends_on: Vec<JobId>,
    /// How long it may run, in seconds; its class's deadline if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How often it is tried; as its class says if nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Only this node may run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub node_id: Option<NodeId>,
    /// Limits over its class's.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// Chosen by the caller, so that a repeated request is the same job; made by the daemon otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub job_id: Option<JobId>,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Values for the parameters of the class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    pub params: BTreeMap<String, ParamValue>,
    /// The same, beside the keys above.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub others: BTreeMap<String, ParamValue>,
}

/// Answer to `POST /api/jobs/submit`, and to `POST /start_job` with the whole job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobSubmitted {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Its name.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Its class.
    pub job_type: String,
    /// Where it stands.
    pub status: JobStatus,
    /// A sentence for people.
    pub message: String,
    /// All of it.
    pub job: JobView,
}

/// `GET /api/jobs/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobShown {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The job.
    pub job: JobView,
    /// Earlier attempts, the last first; the oldest may be gone.
    pub history: Vec<AttemptView>,
}

/// Body of `POST /stop_job`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StopRequest {
    /// Which job.
    #[schema(value_type = String)]
    pub job_id: JobId,
}

/// Answer to `POST /api/jobs/{id}/cancel` and `POST /stop_job`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobCancelled {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Which job.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Where it stands; one that runs is stopped by its node a moment later.
    pub status: JobStatus,
    /// A sentence for people.
    pub message: String,
}

/// Body of `POST /api/jobs/{id}/limits`: those named are changed, at once where it runs and for later attempts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// The limits.
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// Who asks, as far as the caller says; shown, never checked.
    #[serde(default)]
    pub by: Option<String>,
}

/// Answer to that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLimited {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Which job.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Its own limits now, over its class's.
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// A sentence for people.
    pub message: String,
}
