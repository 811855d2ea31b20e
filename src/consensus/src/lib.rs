//! Who leads, and what is agreed? Raft (openraft) over a durable log (redb), behind a narrow handle.
//!
//! Nothing else may sit in this crate: instantiating openraft costs over a minute of build.

mod campaign;
mod duties;
mod enter;
mod error;
mod feed;
mod formation;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod handle;
mod machine;
mod network;
mod observe;
mod propose;
mod raft_config;
mod record;
mod recover;
mod runtime;
mod serve;
mod settings;
mod source;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod transport;
mod types;
mod voters;
mod wire;

pub use error::{ChangeError, ProposeError, RecoverError, StartError, TransferError};
pub use handle::{Committed, Consensus};
pub use recover::{RecoverReport, recover};
pub use settings::{ConsensusConfig, Timers};
pub use source::WatchSource;
pub use status::{RaftStatus, Role};
pub use transport::{Transport, TransportError};
