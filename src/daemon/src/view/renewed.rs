//! How old may be what is shown, and who makes it anew?
//!
//! Nobody, as long as nobody asks. With the first request for a while it is made while that one waits. If requests go on coming it is
//! made beside them: they get the one before until the next is there, so that none of them waits for the description of a thousand
//! nodes. Whoever changes something has it forgotten, and the next request sees what is true then.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

/// The age from which on a request does not get it any more.
const MAX_AGE: Duration = Duration::from_millis(500);

/// The age at which the next one is begun, beside the request that finds it so.
const RENEW_AT: Duration = Duration::from_millis(300);

/// What was shown at one instant.
pub(crate) struct Made<T> {
    at: Instant,
    /// How often what was shown had been forgotten before.
    edition: u64,
    what: T,
}

impl<T> Deref for Made<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// Keeps the newest of them.
pub(crate) struct Renewed<T> {
    newest: ArcSwapOption<Made<T>>,
    /// How often what was shown has been forgotten.
    edition: AtomicU64,
    /// Whether the next one is being made beside requests.
    renewing: AtomicBool,
    /// Held by the one request that waits for the next one; others wait only if they must not get the one before.
    making: Mutex<()>,
}

impl<T> Default for Renewed<T> {
    fn default() -> Self {
        Self {
            newest: ArcSwapOption::empty(),
            edition: AtomicU64::new(0),
            renewing: AtomicBool::new(false),
            making: Mutex::new(()),
        }
    }
}

impl<T> Renewed<T> {
    /// The newest one. It is younger than half a second unless another request is making the next one right now, and never from
    /// before the last [`forget`](Self::forget). When it is time for the next one, `begin` is to have [`renew`](Self::renew)
    /// called with it, elsewhere.
    pub(crate) fn get(&self, make: impl FnOnce() -> T, begin: impl FnOnce(Arc<Made<T>>)) -> Arc<Made<T>> {
        if let Some(newest) = self.newest() {
            let age = newest.at.elapsed();
            if age < MAX_AGE {
                if age >= RENEW_AT && !self.renewing.swap(true, Ordering::AcqRel) {
                    begin(newest.clone());
                }
                return newest;
            }
        }
        let making = match (self.making.try_lock(), self.newest()) {
            (Err(_), Some(before)) => return before,
            (Err(_), None) => self.making.lock().unwrap_or_else(PoisonError::into_inner),
            (Ok(making), _) => making,
        };
        // Made by whoever was waited for.
        if let Some(newest) = self.newest().filter(|newest| newest.at.elapsed() < MAX_AGE) {
            return newest;
        }
        let next = self.next(make);
        self.newest.store(Some(next.clone()));
        drop(making);
        next
    }

    /// Puts the next one in the place of `before`.
    pub(crate) fn renew(&self, before: &Arc<Made<T>>, make: impl FnOnce() -> T) {
        let next = self.next(make);
        // If that took long another one was made meanwhile, which is as new.
        self.newest.compare_and_swap(before, Some(next));
        self.renewing.store(false, Ordering::Release);
    }

    /// Makes the next request see what is true now.
    pub(crate) fn forget(&self) {
        self.edition.fetch_add(1, Ordering::AcqRel);
    }

    fn next(&self, make: impl FnOnce() -> T) -> Arc<Made<T>> {
        // Before it is made: what is forgotten meanwhile may not be in it.
        let edition = self.edition.load(Ordering::Acquire);
        let at = Instant::now();
        Arc::new(Made { at, edition, what: make() })
    }

    /// The newest one, however old, unless it was forgotten.
    fn newest(&self) -> Option<Arc<Made<T>>> {
        let edition = self.edition.load(Ordering::Acquire);
        self.newest.load_full().filter(|newest| newest.edition == edition)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const NEVER: fn(Arc<Made<u32>>) = |_| panic!("it is too early, or begun already");

    fn not_now() -> u32 {
        panic!("this request must not wait")
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_made_for_the_first_request_and_for_one_after_a_pause() {
        let shown = Renewed::default();
        assert_eq!(**shown.get(|| 1, NEVER), 1);
        advance(RENEW_AT / 2).await;
        assert_eq!(**shown.get(not_now, NEVER), 1);
        advance(MAX_AGE).await;
        assert_eq!(**shown.get(|| 2, NEVER), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_go_on_coming_never_wait_for_it() {
        let shown = Renewed::default();
        shown.get(|| 1, NEVER);
        advance(RENEW_AT).await;
        let mut begun = None;
        assert_eq!(**shown.get(not_now, |before| begun = Some(before)), 1);
        assert_eq!(**shown.get(not_now, NEVER), 1, "one at a time");
        shown.renew(&begun.unwrap(), || 2);
        assert_eq!(**shown.get(not_now, NEVER), 2);
        advance(RENEW_AT).await;
        let mut begun = None;
        assert_eq!(**shown.get(not_now, |before| begun = Some(before)), 2);
        assert!(begun.is_some(), "and again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_forgotten_is_shown_to_nobody_though_its_next_was_begun_before() {
        let shown = Renewed::default();
        shown.get(|| 1, NEVER);
        advance(RENEW_AT).await;
        let mut begun = None;
        shown.get(not_now, |before| begun = Some(before));
        shown.renew(&begun.unwrap(), || {
            shown.forget();
            2
        });
        assert_eq!(**shown.get(|| 3, NEVER), 3);
        let made_meanwhile = shown.get(not_now, NEVER);
        shown.forget();
        assert_eq!(**shown.get(|| 4, NEVER), 4);
        shown.renew(&made_meanwhile, || 5);
        assert_eq!(**shown.get(not_now, NEVER), 4, "one that took too long is not put in the place of a newer one");
    }
}
