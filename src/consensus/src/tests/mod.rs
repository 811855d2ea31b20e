//! Whole clusters, in one process and in simulated time.

mod campaign;
mod cluster;
mod disk;
mod elections;
mod faults;
mod formation;
mod gossip;
mod hub;
mod jobs;
mod life;
mod line;
mod net;
mod partition;
mod places;
mod readers;
mod real_time;
mod recovery;
pub(crate) mod runtime;
mod shapes;
pub(crate) mod storage;
mod suite;
mod voters;
mod watch;
mod wide_area;
mod witness;
mod worker;
