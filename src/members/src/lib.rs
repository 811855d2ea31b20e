//! Who is alive?
//!
//! [`Machine`] decides, in pure steps; [`Members`] is the task around it that talks over a [`Transport`]. The ideas are those
//! of SWIM (Das et al. 2002) and Lifeguard (Dadgar et al. 2018), with three differences that are explained where they are
//! made: each node has fixed watchers, hearsay alone kills nobody, and a death that comes without a suspicion is doubted.
//!
//! - **Watching.** Each node is pinged every second by two others, and compares what it knows with a random node twice a
//!   second. Without an answer for 1 s (asked again after half of it), three others are asked to try. If nobody reaches it
//!   within another second it is a *suspect*, which is told to everybody at once. If it does not object for 4 s it is *dead*.
//!   A link that breaks and connections that are refused skip the waiting, not the suspicion.
//! - **Objecting.** A living node that hears of its suspicion or death answers with a higher incarnation, which wins.
//! - **Spreading.** Who hears a change of state first passes it on to ln n + 2 others. Exchanges of digests carry facts, and
//!   whatever a rumour missed: they alone suffice for everybody to end with the same table.
//! - **Doubting oneself.** Late timers make a node patient (up to eightfold); one that stood still for 1.5 s, frozen, starved
//!   or suspended, forgets its accusations and judges nobody for a full failure timeout.
//! - **Time.** Monotonic time decides. Wall clocks are measured against each other and reported, nothing more.
//!
//! Measured in `tests/simulation` (one-way delays of 2 to 80 ms, eight times the usual seeds):
//!
//! | From a death until everybody sees it | p50 | max |
//! |---|---|---|
//! | 43 nodes, power cut | 6.4 s | 6.7 s |
//! | 43 nodes, power cut, 10 % of all messages lost | 6.2 s | 7.1 s |
//! | 43 nodes, `kill -9`, 10 % lost | 4.3 s | 4.7 s |
//! | 1000 nodes, power cut, 10 % lost | 6.3 s and 6.6 s (two runs) | |
//!
//! A changed fact is known to all 43 after 2.4 s (p50; longest 3.9 s, 5 % lost). Each of 43 nodes sends 11 messages and 11 kB
//! a second while everybody's facts change every 5 s; the decisions take 0.16 ms of CPU a second (optimised), the transport
//! not counted.

mod clock;
mod complaints;
mod driver;
mod event;
mod facts;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod local_health;
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
pub use uptime::WallClock;
