//! What does the HTTP API on 8770 say? Its JSON types, its error shape and a client.
//!
//! Every key and type that clients of the Python program read is here. All keys are always sent, `null` where there is
//! nothing to say, so that a reader may index them. Numbers that are counts are integers, measurements and times are floats.

mod client;
mod cluster_status;
mod component_report;
mod error_body;
mod error_code;
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod health;
mod job;
mod jobs;
mod liveness;
mod models;
mod node;
mod node_list;
mod operation;
mod status;
mod voter_health;
mod voters_report;

pub use client::{Client, ClientError, EventStream, Followed, Sent, Upload};
pub use cluster_status::ClusterStatus;
pub use component_report::{ClusterComponents, ComponentReport, NodeComponents};
pub use error_body::ErrorBody;
pub use error_code::ErrorCode;
pub use event::{Event, EventPage};
pub use health::{Component, ComponentStatus, Health, HealthStatus};
pub use job::Job;
pub use jobs::{
    AttemptView, BackingOff, Backpressure, ClaimAnswer, ClaimRequest, JobCancelled, JobLimited, JobList, JobLog,
    JobShown, JobStatus, JobSubmitted, JobView, JobWhy, LimitsRequest, LocalJob, LogLine, NodeJobs, NodeVerdict,
    StopRequest, SubmitRequest, Verdict, WorkAdd, WorkAddBatch, WorkAdded, WorkBatchAdded, WorkChange, WorkChanged,
    WorkStatus,
};
pub use liveness::Liveness;
pub use models::{
    ClusterManifest, DistributeRequest, Distributed, DistributionPhase, DistributionReport, DistributionStarted,
    GcItem, GcReport, GcRequest, LinkReport, ManifestFile, ManifestState, ModelChanged, ModelEntry, ModelLink,
    ModelList, ModelProgress, ModelRemoved, ModelUploaded, ModelVersion, ModelsProgress, NodeFailure, NodeManifest,
    NodeProgress, PromoteRequest, RemoveRequest, RollbackRequest, VerifiedFile, VerifyReport, VerifyRequest,
    WhichModel,
};
pub use node::{AllPeer, Node, PeerNode};
pub use node_list::{Eligibility, EligibilityState, NodeEntry, NodeList};
pub use operation::{
    CordonRequest, EligibilityChanged, LeaderTransferred, Reloaded, SnapshotRestored, TransferRequest, VoterChange,
};
pub use status::{Network, Status, WorkQueue};
pub use voter_health::{VoterHealth, VoterStatus};
pub use voters_report::{VoterEntry, VotersReport};
