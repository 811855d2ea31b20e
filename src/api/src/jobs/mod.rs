//! Jobs and the work queue: what there is, and the requests about it. One thing under two names, as old clients know them:
//! a job's id is its `work_id`.

mod here;
mod log;
mod queue;
mod submit;
mod view;
mod why;

pub use here::{BackingOff, LocalJob, NodeJobs};
pub use log::{JobLog, LogLine};
pub use queue::{
    Backpressure, ClaimAnswer, ClaimRequest, WorkAdd, WorkAddBatch, WorkAdded, WorkBatchAdded, WorkChange, WorkChanged,
    WorkStatus,
};
pub use submit::{JobCancelled, JobLimited, JobShown, JobSubmitted, LimitsRequest, StopRequest, SubmitRequest};
pub use view::{AttemptView, JobList, JobStatus, JobView};
pub use why::{JobWhy, NodeVerdict, Verdict};
