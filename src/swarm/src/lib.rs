//! Which chunk from whom?
//!
//! [`neighbours`] says with whom a node exchanges chunks; a [`Planner`] decides what is asked, served, told and refused. Both are
//! pure: no clock, no socket, no disk. Time is a [`Duration`](std::time::Duration) since any moment, and never goes back.
//!
//! What whoever runs a planner owes it:
//!
//! - After [`Input::PeerUp`], and after each new [`Input::Want`] and [`Input::Hold`], the peers are told what [`Planner::have`] says, as a whole
//!   set. The planner announces only what comes later, and only to those who lack it.
//! - Each [`Output::Serve`] ends with one [`Input::Sent`], also if it failed: it holds a slot. It should be said when the bytes have left:
//!   a chunk that waits in a large socket buffer frees its slot too early, and the next one is late.
//! - A peer that is dropped needs no [`Input::PeerDown`].
//! - Only chunks that were verified and stored have [`Input::Arrived`].
//!
//! `tests/simulation` holds it to the limits of arithmetic; `docs/models.md` has the figures.

mod bans;
mod config;
mod io;
mod neighbours;
mod pace;
mod peer;
mod pick;
mod planner;
mod track;
mod uploads;

pub use config::{Order, PlannerConfig};
pub use io::{DropReason, Input, Output};
pub use neighbours::{DEGREE, neighbours};
pub use planner::{MAX_PEERS, Planner};
