//! Which bytes are here, and are they right?
//!
//! A [`Store`] keeps blobs under their digests in a folder of its own, publishes them under names where programs look for models, and
//! hands them out as [`Object`]s. Calls block on the disk: asynchronous callers use a thread for them.
//!
//! What it promises, and how, is in `docs/models.md`. In short: bytes get a name only after they were synced and verified; the file that
//! is served is never the one that programs see; a served object that somebody writes to ends in an error.

mod beside;
mod cache;
mod config;
pub mod disk;
mod error;
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod gc;
mod hash;
mod identity;
mod index;
mod install;
mod journal;
pub mod mapping;
mod object;
mod open;
mod partial;
mod publish;
mod scrub;
mod space;
mod store;
mod watch;
mod zip;

pub use config::StoreConfig;
pub use error::{Result, StoreError};
pub use event::StoreEvent;
pub use gc::Collected;
pub use identity::{Identity, SETTLED};
pub use install::Upload;
pub use object::Object;
pub use partial::Partial;
pub use publish::{Published, is_reserved};
pub use scrub::{Scrubbed, Stop, Verified};
pub use space::Space;
pub use store::{Holding, Seams, Store};
pub use zip::{ZipDamage, ZipReport, validate};
