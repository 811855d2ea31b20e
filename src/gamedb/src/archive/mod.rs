//! All game databases of a node in one file: a tar archive compressed by zstd, which `tar --zstd -xf` unpacks too.

mod backup;
mod manifest;
mod partial;
mod read;
mod restore;

pub use backup::{BackedUp, backup, backup_some};
pub use manifest::{Absent, Manifest, Member};
pub use read::{Verified, verify};
pub use restore::{Restored, Restoring, restore};
