//! Limits without control groups: what a process can be given that its children inherit.
//!
//! Not `RLIMIT_AS`: CUDA reserves far more address space than it uses, and would not start. Not `RLIMIT_NPROC`: it counts all
//! processes of the user, the daemon's among them, and root is exempt.

use std::process;

use ringrift_job::{CpuSet, Limits};
use rustix::{
    process::{Resource, Rlimit},
    thread::CpuSet as Affinity,
};

use super::process::Process;

/// Applies to the calling process, before it becomes the program. `by_group` says which of the limits a control group keeps.
pub(crate) fn apply_to_self(limits: &Limits, by_group: impl Fn(&str) -> bool) {
    // A crashing program must not fill the disk.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    if let Some(own) = Process::of(process::id()) {
        apply(&[own], limits, by_group);
    }
}

/// Applies to processes that run.
pub(crate) fn apply(processes: &[Process], limits: &Limits, by_group: impl Fn(&str) -> bool) {
    let nice = nice(limits.cpu_weight.unwrap_or(100));
    // Without a limit, where the daemon may run: whoever confined that meant its jobs as well.
    let affinity = limits.allowed_cpus.as_ref().map(affinity).or_else(|| rustix::thread::sched_getaffinity(None).ok());
    for process in processes {
        for thread in process.threads() {
            // Any of them may end meanwhile, and what is not allowed is not done: `limitations` says that nothing is promised.
            if !by_group("cpu_weight") {
                let _ = rustix::process::setpriority_process(Some(thread), nice);
            }
            if let Some(affinity) = &affinity
                && !by_group("allowed_cpus")
            {
                let _ = rustix::thread::sched_setaffinity(Some(thread), affinity);
            }
        }
    }
}

/// The nice value of a weight: each step is a factor of 1.25 (sched(7)), and 100 is everybody's weight. Never below 0: that
/// would place a job before the daemon.
fn nice(weight: u16) -> i32 {
    let steps = (100.0 / f64::from(weight.max(1))).ln() / 1.25_f64.ln();
    (steps.round() as i32).clamp(0, 19)
}

fn affinity(cpus: &CpuSet) -> Affinity {
    let mut affinity = Affinity::new();
    let each = cpus.ranges().iter().flat_map(|(first, last)| *first..=*last).map(usize::from);
    each.filter(|cpu| *cpu < Affinity::MAX_CPU).for_each(|cpu| affinity.set(cpu));
    affinity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_become_nice_values() {
        for (weight, expected) in [(1, 19), (10, 10), (50, 3), (80, 1), (100, 0), (200, 0), (10_000, 0)] {
            assert_eq!(nice(weight), expected, "{weight}");
        }
    }

    #[test]
    fn processors_are_taken_over() {
        let affinity = affinity(&"0-1,5,8000".parse().unwrap());
        let set: Vec<usize> = (0..Affinity::MAX_CPU).filter(|cpu| affinity.is_set(*cpu)).collect();
        assert_eq!(set, [0, 1, 5]);
    }
}
