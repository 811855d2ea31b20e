//! Who leads, and what is agreed? Raft (openraft) over a durable log (redb), behind a narrow handle.
//!
//! Nothing else may sit in this crate: instantiating openraft costs over a minute of build.

mod error;
mod handle;
mod recover;
mod settings;
mod status;
mod transport;

pub use error::{ChangeError, ProposeError, RecoverError, StartError, TransferError};
pub use handle::{Committed, Consensus};
pub use recover::{RecoverReport, recover};
pub use settings::{ConsensusConfig, Timers};
pub use status::{RaftStatus, Role};
pub use transport::{Transport, TransportError};
