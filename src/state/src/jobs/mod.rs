//! Which jobs are there, who has which of them, and how did they end?

mod apply;
mod attempt;
mod change;
mod event;
mod fill;
mod job;
mod phase;
mod restore;
mod settle;
mod submit;
mod table;

pub use attempt::AttemptRecord;
pub use change::JobChange;
pub use fill::Fill;
pub use job::{Cancel, Job, NewJob, Origin};
pub use phase::{Assignment, Holder, JobOutcome, Phase};
pub use table::{JobCounts, Jobs};

pub(crate) use submit::Submit;
