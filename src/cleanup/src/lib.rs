//! What may go from this machine's disk, and how does it go so that it can come back?
//!
//! [`look`] finds what lies below the configured roots, [`plan`] decides about each file, [`Trash`] moves what may go to a folder beside
//! it, and deletes it after a grace period. A file goes only for a reason that is known; whatever is not understood stays. What each rule
//! promises is in `docs/operations.md`. Calls block: asynchronous callers use a thread.

mod copies;
mod error;
mod look;
mod opened;
mod plan;
mod roots;
mod thresholds;
mod trash;

pub use copies::Copies;
pub use error::CleanupError;
pub use look::{Item, digests, look};
pub use opened::Opened;
pub use plan::{Asked, Decision, Disk, Plan, Stays, plan};
pub use roots::{Kind, Roots};
pub use thresholds::{Pool, Thresholds};
pub use trash::{Batch, Emptied, Moved, Trash};
