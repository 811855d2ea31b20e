//! When do the loops of this process look around? All at the same moments.
//!
//! A daemon has a dozen loops that look for something a few times a second. Each for itself would wake the process, switch to a thread
//! and send it to sleep again, which costs more than the look: most of what an idle daemon uses. On a common beat the process wakes as
//! often as its most frequent loop.

use std::{cell::Cell, sync::LazyLock, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Where the beat begins: any moment serves, as long as it is one for the whole process.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

thread_local! {
    static BEGAN_HERE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has the beat of this thread begin now. A simulation that is to happen again exactly begins its time anew, and its beat with it.
pub fn begin_here() {
    BEGAN_HERE.set(Some(Instant::now()));
}

/// The next beat of this period, at most one period from now.
///
/// # Panics
/// If the period is shorter than a nanosecond.
pub fn next(period: Duration) -> Instant {
    let (now, began) = (Instant::now(), BEGAN_HERE.get().unwrap_or_else(|| *BEGAN));
    let within = |time: Duration| {
        // The remainder of a period is shorter than it, and no period is longer than centuries.
        Duration::from_nanos(u64::try_from(time.as_nanos() % period.as_nanos()).unwrap_or_default())
    };
    match now.checked_duration_since(began) {
        Some(since) => now + period.saturating_sub(within(since)),
        // Clocks that tests command begin whenever they like.
        None => match within(began - now) {
            Duration::ZERO => now + period,
            left => now + left,
        },
    }
}

/// Ticks at once and then with every beat of this period. Beats that were missed are left out.
pub fn every(period: Duration) -> Interval {
    let next = next(period);
    let mut ticks = interval_at(next.checked_sub(period).unwrap_or(next), period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep};

    use super::*;

    const PERIOD: Duration = Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn loops_that_began_at_different_times_tick_together_and_the_first_time_at_once() {
        let began = Instant::now();
        let looks = [(0, 1), (123, 2), (777, 1)].map(|(after, times)| async move {
            sleep(Duration::from_millis(after)).await;
            let mut ticks = every(PERIOD * times);
            ticks.tick().await;
            assert_eq!(began.elapsed(), Duration::from_millis(after), "at once");
            let mut at = Vec::new();
            while began.elapsed() < PERIOD * 12 {
                ticks.tick().await;
                at.push(began.elapsed());
            }
            at
        });
        let [first, second, third] = looks;
        let (first, second, third) = tokio::join!(first, second, third);
        assert!(second.len() > 4 && third.len() > 8, "{second:?} {third:?}");
        for at in second.iter().chain(&third).filter(|at| **at < PERIOD * 12) {
            // The one that began first and ticks as often as any is there too.
            assert!(first.contains(at), "{at:?} is not among {first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stood_still_ticks_once_and_goes_on_with_the_beat() {
        let mut ticks = every(PERIOD);
        ticks.tick().await;
        let beat = ticks.tick().await;
        advance(PERIOD * 7 + Duration::from_millis(200)).await;
        ticks.tick().await;
        let later = ticks.tick().await;
        let beats = (later - beat).as_millis();
        assert_eq!((later - beat).as_millis() % PERIOD.as_millis(), 0, "{beats}");
        assert!(later > beat + PERIOD * 7);
    }
}
