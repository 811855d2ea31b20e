//! What is agreed upon? The replicated types and their pure `apply`.
//!
//! Everything here is plain data: no clock, no socket, and no disk outside [`envelope`]. Values travel and rest as
//! `MessagePack` with field names ([`encode`]), so that a field added later has its default in what was written before.

mod agreed;
mod chunked;
mod cluster_id;
mod cluster_state;
mod command;
mod eligibility;
pub mod envelope;
mod event;
mod event_log;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod jobs;
mod models;
mod reconcile;
mod requests;
mod voters;

pub use agreed::{Agreed, Gap, Update};
pub use cluster_id::ClusterId;
pub use cluster_state::ClusterState;
pub use command::{Command, EntryMeta, Outcome};
pub use eligibility::{Eligibility, Standing};
pub use envelope::{FORMAT, decode, encode};
pub use event::{Details, Event, NewEvent, kind};
pub use event_log::{BrokenSequence, EventLog};
pub use jobs::{
    Assignment, AttemptRecord, Cancel, Fill, Holder, Job, JobChange, JobCounts, JobOutcome, Jobs, NewJob, Origin, Phase,
};
pub use models::{
    Distribution, DistributionState, Elo, HeldState, InvalidElo, MAX_CHUNKS, ModelDistributionEnded,
    ModelDistributionStarted, ModelPromoted, ModelRecord, ModelRemoved, ModelSetAside, Promotion, Removal, Verdict,
    distribution_verdict,
};
pub use reconcile::{Decision, MAX_VOTERS, majority, reconcile};
pub use requests::RecentRequests;
pub use voters::{VoterHistory, VoterRevision};
