//! Waiting for a sampler, for its own tests and those of the whole way. Whoever includes this has the sampler's types in scope.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{Report, Sampler, State};

/// Waits until the sampler's report is as it should be.
pub(crate) fn until(sampler: &Sampler, what: &str, is: impl Fn(&Report) -> bool) -> Arc<Report> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let report = sampler.latest();
        if is(&report) {
            return report;
        }
        assert!(Instant::now() < deadline, "no {what}: {report:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn in_state(sampler: &Sampler, state: State) -> Arc<Report> {
    until(sampler, state.as_str(), |report| report.state == state)
}
