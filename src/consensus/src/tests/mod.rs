//! Whole clusters, in one process and in simulated time.

mod cluster;
mod disk;
mod elections;
mod faults;
mod formation;
mod partition;
mod readers;
mod real_time;
mod recovery;
mod suite;
mod voters;
