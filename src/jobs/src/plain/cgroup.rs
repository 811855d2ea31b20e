//! Control groups, version 2, where a part of the tree is ours.

mod delegation;
mod leaf;

pub(crate) use delegation::{Delegation, delegated};
pub(crate) use leaf::Leaf;

/// The limits, and the file of a group that keeps each (cgroup-v2.rst).
pub(crate) const FILES: [(&str, &str); 7] = [
    ("memory_high", "memory.high"),
    ("memory_max", "memory.max"),
    ("cpu_quota", "cpu.max"),
    ("cpu_weight", "cpu.weight"),
    ("io_weight", "io.weight"),
    ("tasks_max", "pids.max"),
    ("allowed_cpus", "cpuset.cpus"),
];
