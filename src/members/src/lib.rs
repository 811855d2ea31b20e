//! Who is alive?

mod driver;
mod event;
mod facts;
mod member;
mod timing;
mod transport;

pub use driver::Members;
pub use event::Event;
pub use facts::Facts;
pub use member::{Member, State, Table};
pub use timing::{MembersConfig, Timing};
pub use transport::Transport;
