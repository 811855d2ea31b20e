use std::fmt;

use ringrift_config::NodeId;
use ringrift_job::{ClassName, Ending, GameConfig, JobId, Kind, Limits, Params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job stands, in the words of the old work queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// It waits for a node.
    Pending,
    /// It was given to somebody, who has not said that it runs.
    Claimed,
    /// It runs.
    Running,
    /// It did what it was for.
    Completed,
    /// It did not, as often as it may be tried.
    Failed,
    /// Its time was up.
    Timeout,
    /// Somebody did not want it any more.
    Cancelled,
}

impl JobStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Claimed, Self::Running, Self::Completed, Self::Failed, Self::Timeout, Self::Cancelled];

    /// As JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen to it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Timeout | Self::Cancelled)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A job as it is agreed on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its name.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// The same: the work queue's word for it.
    #[schema(value_type = String)]
    pub work_id: JobId,
    /// Its class.
    #[schema(value_type = String)]
    pub job_type: ClassName,
    /// The same.
    #[schema(value_type = String)]
    pub work_type: ClassName,
    /// `selfplay`, `training` or `evaluation`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Where it stands.
    pub status: JobStatus,
    /// The node that has it.
    #[schema(value_type = Option<String>)]
    pub node_id: Option<NodeId>,
    /// The same, or the worker that took it from the queue.
    pub claimed_by: Option<String>,
    /// The board, if its class has one.
    pub board_type: Option<String>,
    /// How many play.
    pub num_players: Option<u8>,
    /// Board and players together.
    #[schema(value_type = Option<String>)]
    pub config_key: Option<GameConfig>,
    /// `engine_mode`, if its class has one.
    pub engine_mode: Option<String>,
    /// All its values.
    #[schema(value_type = Object)]
    pub config: Params,
    /// The higher, the sooner.
    pub priority: i32,
    /// The current attempt, or the last one; 0 before the first.
    pub attempts: u32,
    /// How often it is tried.
    pub max_attempts: u32,
    /// What must succeed first.
    #[schema(value_type = Vec<String>)]
    pub depends_on: Vec<JobId>,
    /// How long it may run; 0 for its class's deadline.
    pub timeout_seconds: u64,
    /// `operator`, `work` or `fill`: who wanted it.
    pub origin: String,
    /// Who asked for it.
    pub requested_by: String,
    /// The GPUs that it was given, by index.
    pub gpus: Vec<u32>,
    /// Its own limits, besides its class's.
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// When it was asked for, seconds since the epoch.
    pub created_at: f64,
    /// When the current attempt began to run.
    pub started_at: Option<f64>,
    /// When it was over.
    pub completed_at: Option<f64>,
    /// Why it is as it is, as a sentence; empty if there is nothing to say.
    pub message: String,
    /// The same of a job that failed; old clients read this.
    pub error: Option<String>,
    /// Whether somebody wants it to stop, and it has not yet.
    pub stopping: bool,
    /// How its last run ended, if it did.
    #[schema(value_type = Option<Object>)]
    pub ending: Option<Ending>,
}

/// An earlier attempt at a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AttemptView {
    /// Which.
    pub attempt: u32,
    /// Who had it.
    pub claimed_by: Option<String>,
    /// How it ended, if anybody saw.
    #[schema(value_type = Option<Object>)]
    pub ending: Option<Ending>,
    /// Why there was another one.
    pub message: String,
    /// When that was, seconds since the epoch.
    pub at: f64,
}

/// `GET /api/jobs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobList {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// The newest first.
    pub jobs: Vec<JobView>,
    /// How many there are that the query asks for, whatever the limit.
    pub total: u64,
}
