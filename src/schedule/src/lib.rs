//! Which job goes where? A pure state machine: the agreed jobs and what the leader sees of the nodes go in, proposals come out.
//!
//! It is asked again and again, and never waits for anything: a proposal that is lost is made again, and one that comes too
//! late is refused when it is applied ([`ringrift_state::JobChange`]).

mod candidates;
mod claim;
mod fill;
mod fit;
mod keep_back;
mod ledger;
mod memory;
mod passed_over;
mod queue;
mod scheduler;
mod settings;
mod strikes;
mod view;
mod why;

pub use claim::Claim;
pub use passed_over::PassedOver;
pub use scheduler::{Decisions, Scheduler};
pub use settings::{FillPolicy, Settings};
pub use view::{GpuView, NodeView, Presence, View};
pub use why::{Verdict, Why};
