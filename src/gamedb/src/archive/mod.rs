//! All game databases of a node, or of several, in one file: a tar archive compressed by zstd, which `tar --zstd -xf` unpacks
//! too.

mod backup;
mod gather;
mod manifest;
mod partial;
mod read;
mod restore;
mod send;

pub use backup::{BackedUp, backup, backup_some};
pub use gather::Gathering;
pub use manifest::{Absent, Manifest, Member, Part, PartState};
pub use read::{Verified, verify};
pub use restore::{Restored, Restoring, Wanted, restore};
pub use send::{Offer, offer, receive, rehearse};
