//! Who is alive?

mod clock;
mod complaints;
mod driver;
mod event;
mod facts;
mod local_health;
mod log;
mod machine;
mod member;
mod moment;
mod probe;
mod publish;
mod record;
mod roster;
mod rumours;
mod task;
mod timing;
mod transport;
mod uptime;
mod wire;

pub use driver::Members;
pub use event::Event;
pub use facts::Facts;
pub use machine::{Failure, Input, Machine, Output};
pub use member::{Member, State, Table};
pub use moment::Moment;
pub use timing::{MembersConfig, Timing};
pub use transport::Transport;
