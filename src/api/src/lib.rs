//! What does the HTTP API on 8770 say? Its JSON types, its error shape and a client.
//!
//! Every key and type that clients of the Python program read is here. All keys are always sent, `null` where there is
//! nothing to say, so that a reader may index them. Numbers that are counts are integers, measurements and times are floats.

mod client;
mod cluster_status;
mod error_body;
mod error_code;
mod event;
mod health;
mod job;
mod liveness;
mod node;
mod node_list;
mod operation;
mod status;
mod voter_health;
mod voters_report;

pub use client::{Client, ClientError, EventStream, Followed};
pub use cluster_status::ClusterStatus;
pub use error_body::ErrorBody;
pub use error_code::ErrorCode;
pub use event::{Event, EventPage};
pub use health::{Component, ComponentStatus, Health, HealthStatus};
pub use job::Job;
pub use liveness::Liveness;
pub use node::{AllPeer, Node, PeerNode};
pub use node_list::{Eligibility, EligibilityState, NodeEntry, NodeList};
pub use operation::{
    CordonRequest, EligibilityChanged, LeaderTransferred, Reloaded, SnapshotRestored, TransferRequest, VoterChange,
};
pub use status::{Network, Status, WorkQueue};
pub use voter_health::{VoterHealth, VoterStatus};
pub use voters_report::{VoterEntry, VotersReport};
