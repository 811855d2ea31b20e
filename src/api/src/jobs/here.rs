use ringrift_config::NodeId;
use ringrift_job::{ClassName, JobId, Kind, Limits, Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/jobs/here`: what runs on the asked node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeJobs {
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// `systemd`, `plain` or `none`.
    pub runner: String,
    /// Why it takes no work, as sentences; empty if it takes some.
    pub refuses: Vec<String>,
    /// How many jobs it takes at once.
    pub slots: u32,
    /// The classes that it can run.
    #[schema(value_type = Vec<String>)]
    pub classes: Vec<ClassName>,
    /// The classes that it cannot run, each with the reason.
    pub unavailable: Vec<String>,
    /// Limits that its runner cannot enforce.
    pub not_enforced: Vec<String>,
    /// Classes that wait after failures.
    pub backing_off: Vec<BackingOff>,
    /// What runs.
    pub jobs: Vec<LocalJob>,
}

/// A class that waits after failures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackingOff {
    /// The class.
    #[schema(value_type = String)]
    pub class: ClassName,
    /// Failures one after the other.
    pub failures: u32,
    /// Seconds until it is tried again.
    pub seconds: f64,
    /// The last failure.
    pub reason: String,
}

/// A job that this node has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LocalJob {
    /// Its name.
    #[schema(value_type = String)]
    pub job_id: JobId,
    /// Its class.
    #[schema(value_type = String)]
    pub job_type: ClassName,
    /// What it is for.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// Which attempt.
    pub attempt: u32,
    /// `wanted`, `starting`, `running`, `stopping` or `ended`.
    pub status: String,
    /// The node.
    #[schema(value_type = String)]
    pub node_id: NodeId,
    /// What systemd or the runner calls it.
    pub unit: String,
    /// Its main process; 0 if it has none.
    pub pid: u32,
    /// The board, if its class has one.
    pub board_type: Option<String>,
    /// How many play.
    pub num_players: Option<u8>,
    /// When it began, seconds since the epoch; 0 if it has not.
    pub started_at: f64,
    /// How long it has run, in seconds.
    pub runtime_seconds: f64,
    /// The GPUs that it may use, by index.
    pub gpus: Vec<u32>,
    /// The limits in force.
    #[schema(value_type = Object)]
    pub limits: Limits,
    /// What it uses.
    #[schema(value_type = Object)]
    pub usage: Usage,
    /// How it is, as a sentence; empty if there is nothing to say.
    pub message: String,
}
