use ringrift_config::NodeId;
use ringrift_job::JobId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/jobs/{id}/log`: what a job wrote, read on the node that has or had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobLog {
    /// Always `true`; errors have their own shape.
    pub success: bool,
    /// Which job.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Which attempt.
    pub attempt: u32,
    /// Where it was read.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// The lines, the oldest first.
    pub lines: Vec<LogLine>,
    /// Where to go on: `?after=` of the next request. Empty if there is nothing yet.
    pub cursor: String,
    /// Whether nothing more will come.
    pub ended: bool,
}

/// A line that a job wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// When, seconds since the epoch; `null` if that was not written down.
    pub at: Option<f64>,
    /// The line without its end.
    pub text: String,
}
