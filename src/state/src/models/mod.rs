//! Which models are promoted, and has every node got them?

mod apply;
mod blobs;
mod distribution;
mod elo;
mod event;
mod record;
mod removal;
mod restore;
mod verdict;

pub use blobs::MAX_CHUNKS;
pub use distribution::{Distribution, DistributionState};
pub use elo::{Elo, InvalidElo};
pub use event::{ModelDistributionEnded, ModelDistributionStarted, ModelPromoted, ModelRemoved, ModelSetAside};
pub use record::{ModelRecord, Promotion};
pub use removal::Removal;
pub use verdict::{HeldState, Verdict, distribution_verdict};

pub(crate) use apply::{Ended, Promote};
