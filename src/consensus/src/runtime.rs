//! What Raft's tasks run on, and where chance and the wall clock come from: tests in simulated time put their own in the place of all
//! three, so that a run can be repeated.

#[cfg(not(test))]
pub(crate) use openraft::impls::TokioRuntime as Runtime;
use openraft::rt::AsyncRuntime as _;
use rand::{
    RngExt as _,
    distr::{Distribution, StandardUniform},
};

#[cfg(test)]
pub(crate) use crate::tests::runtime::{Runtime, part, wall_ms};

/// A task of this node. A test can let all of them stand still.
#[cfg(not(test))]
pub(crate) fn part<F: Future>(task: F) -> F {
    task
}

/// The wall clock in milliseconds since the epoch, which is only shown.
#[cfg(not(test))]
pub(crate) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// Any value.
pub(crate) fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    Runtime::thread_rng().random()
}
