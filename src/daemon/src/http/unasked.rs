//! Connections that have asked nothing yet. When all places are taken, those of them go that had their time: whoever opens
//! thousands takes the place of nobody else for long.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

/// Those of one listener.
#[derive(Debug, Default)]
pub(super) struct Unasked(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    /// Oldest first.
    since: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// One connection, until it asks or is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    among: Arc<Unasked>,
    number: u64,
    has_asked: AtomicBool,
    /// Cancelled when the connection has to go.
    pub(super) given_up: CancellationToken,
}

impl Unasked {
    pub(super) fn enter(self: &Arc<Self>) -> Seat {
        let given_up = CancellationToken::new();
        let mut waiting = self.lock();
        waiting.next += 1;
        let number = waiting.next;
        waiting.since.insert(number, (Instant::now(), given_up.clone()));
        Seat { among: self.clone(), number, has_asked: AtomicBool::new(false), given_up }
    }

    /// Gives up those that have been here for `time` and have asked nothing.
    pub(super) fn give_up_after(&self, time: Duration) {
        let mut waiting = self.lock();
        while let Some(oldest) = waiting.since.first_entry().filter(|oldest| oldest.get().0.elapsed() >= time) {
            oldest.remove().1.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The connection has asked something, and stays.
    pub(super) fn asked(&self) {
        if !self.has_asked.swap(true, Ordering::Relaxed) {
            self.among.lock().since.remove(&self.number);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.asked();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::Unasked;

    #[test]
    fn those_that_had_their_time_go_and_who_has_asked_stays() {
        let unasked = Arc::new(Unasked::default());
        let seats = [unasked.enter(), unasked.enter(), unasked.enter()];
        seats[1].asked();
        let gone = || seats.each_ref().map(|seat| seat.given_up.is_cancelled());
        unasked.give_up_after(Duration::from_hours(1));
        assert_eq!(gone(), [false; 3]);
        unasked.give_up_after(Duration::ZERO);
        assert_eq!(gone(), [true, false, true]);
        drop(unasked.enter());
        assert!(unasked.lock().since.is_empty());
    }
}
