//! Is this game database whole, and how is it mended?
//!
//! [`check`] says what a file is and what is wrong with it, without changing anything; [`copy`] copies a database that is in
//! use; [`read`] asks it something; [`repair`] rebuilds a damaged one from what can be read; [`backup`], [`verify`] and
//! [`restore`] put a node's databases into one archive and take them out again; [`offer`] and [`receive`] carry one to
//! another machine, and [`Gathering`] puts those of many into one archive. What each promises is in `docs/databases.md`.
//! Calls block: asynchronous callers use a thread.

mod archive;
mod check;
mod claim;
mod copy;
mod course;
mod error;
mod find;
mod hash;
mod open;
mod repair;
mod salvage;
pub mod schema;
mod side;
mod space;
mod swap;
mod users;
mod wal;

pub use archive::{
    Absent, BackedUp, Gathering, Manifest, Member, Offer, Part, PartState, Restored, Restoring, Verified, Wanted,
    backup, backup_some, offer, receive, rehearse, restore, verify,
};
pub use check::{Check, Findings, Kind, MOST_FINDINGS, check, kind};
pub use copy::{Copied, copy, digest_of_copy};
pub use course::{Course, Progress, Stop};
pub use error::{DbError, Result};
pub use find::{Found, find};
pub use hash::file as digest;
pub use open::read;
pub use repair::{Outcome, Repaired, repair};
pub use salvage::{Rescued, RescuedTable};
pub use users::{User, users};
