//! How is a command run on many nodes? Which nodes are meant, how many at once, for how long, over which SSH connection, and
//! what became of each.

mod each;
mod lines;
mod selection;
mod ssh;

pub use each::{Outcome, Pace, each};
pub use lines::{Line, Lines};
pub use selection::{Selection, SelectionError};
pub use ssh::{Fault, HostKeys, Ran, Session, Ssh, Unreached, quoted, remote_path};
