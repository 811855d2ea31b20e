//! Is every part of the daemon still moving? If not, systemd restarts it.
//!
//! Each subsystem shows progress, by [`Heartbeat::beat`] from its own loop or by a counter that rises. The supervisor pings
//! systemd's watchdog only while every one of them moved within its own limit; otherwise it names the one that is stuck
//! in the log and in the status line, withholds the ping, and `WatchdogSec=` does the rest: SIGABRT, then a fresh start.
//!
//! # What a ping proves
//!
//! That the async runtime schedules tasks, that the supervisor's timer fires, and that each registered loop went round
//! within its limit.
//!
//! # What a ping does not prove
//!
//! - That what a loop did was right, or that it did useful work: a gossip loop without a reachable peer goes round too.
//! - That this node can reach anybody, or that the cluster has a leader. A restart would not mend a network; `/ready` and
//!   `/status` tell about those.
//! - That a single request or connection is not stuck: those have time limits of their own.
//! - That the disk is well. A loop that waits for the disk stops beating, so a dead disk does restart the daemon, which
//!   then fails loudly at its first read.
//! - That a subsystem that never registered lives at all.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    notify::Notifier,
    watchdog::judge::{Judge, Pulse},
};

mod judge;

/// How often the subsystems are looked at. One wake-up a second costs nothing that can be measured.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The `WatchdogSec=` of our unit, as systemd passes it; `None` when no watchdog waits for us.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// How one subsystem is doing, as `/health` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubsystemState {
    /// The name it registered under.
    pub name: &'static str,
    /// Time since it last moved, not counting time in which the whole process was frozen.
    pub silent_for: Duration,
    /// The silence that it is allowed.
    pub limit: Duration,
}

impl SubsystemState {
    /// Whether it has been silent for longer than it may.
    pub fn is_stuck(&self) -> bool {
        self.silent_for > self.limit
    }
}

/// Shows that one subsystem moves. Dropping it does not end the watch: a loop that ended by a panic must be noticed.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    origin: Instant,
    last: Arc<AtomicU64>,
    retired: CancellationToken,
}

impl Heartbeat {
    /// The subsystem went round once.
    pub fn beat(&self) {
        self.last.store(micros(self.origin.elapsed()), Ordering::Relaxed);
    }

    /// The subsystem ends in good order and is no longer watched.
    pub fn retire(&self) {
        self.retired.cancel();
    }
}

/// Where a subsystem's progress is read.
enum Progress {
    /// Microseconds since the origin, stored by the subsystem itself.
    Beats(Arc<AtomicU64>),
    /// A counter that rises with each round, and when it was last seen to change.
    Counter { read: Box<dyn Fn() -> u64 + Send>, value: u64, changed: Duration },
}

struct Watched {
    name: &'static str,
    limit: Duration,
    progress: Progress,
    retired: CancellationToken,
}

impl Watched {
    fn pulse(&mut self, now: Duration) -> Pulse {
        let last = match &mut self.progress {
            Progress::Beats(last) => Duration::from_micros(last.load(Ordering::Relaxed)),
            Progress::Counter { read, value, changed } => {
                let current = read();
                if current != *value {
                    (*value, *changed) = (current, now);
                }
                *changed
            }
        };
        Pulse { name: self.name, limit: self.limit, last }
    }
}

struct Shared {
    origin: Instant,
    watched: Mutex<Vec<Watched>>,
    states: ArcSwap<Vec<SubsystemState>>,
}

/// Watches the subsystems. Clones are handles to the same watch.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
}

impl Default for Supervisor {
    fn default() -> Self {
        Self::new()
    }
}

impl Supervisor {
    /// A supervisor that watches nothing yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared { origin: Instant::now(), watched: Mutex::default(), states: ArcSwap::default() }),
        }
    }

    /// Watches a subsystem that beats from its own loop. Registering counts as its first beat.
    ///
    /// `limit` must be longer than the longest round of the loop on a busy machine; with `WatchdogSec=` added it is the
    /// longest time that a hang can last.
    pub fn register(&self, name: &'static str, limit: Duration) -> Heartbeat {
        let heartbeat = Heartbeat {
            origin: self.shared.origin,
            last: Arc::new(AtomicU64::new(micros(self.shared.origin.elapsed()))),
            retired: CancellationToken::new(),
        };
        self.watch(Watched {
            name,
            limit,
            progress: Progress::Beats(heartbeat.last.clone()),
            retired: heartbeat.retired.clone(),
        });
        heartbeat
    }

    /// Watches a subsystem by a counter that changes with each of its rounds. It is read once a second, so `limit` should
    /// be several seconds. The watch ends when `retired` is cancelled: pass the subsystem's own shutdown token.
    pub fn register_counter(
        &self,
        name: &'static str,
        limit: Duration,
        read: impl Fn() -> u64 + Send + 'static,
        retired: CancellationToken,
    ) {
        let (value, changed) = (read(), self.shared.origin.elapsed());
        self.watch(Watched {
            name,
            limit,
            progress: Progress::Counter { read: Box::new(read), value, changed },
            retired,
        });
    }

    /// What the last look found, for `/health`; refreshed once a second while [`Supervisor::run`] runs. Takes no lock.
    pub fn states(&self) -> Arc<Vec<SubsystemState>> {
        self.shared.states.load_full()
    }

    /// Looks at the subsystems until `shutdown`, and pings systemd at a third of `watchdog` (from [`watchdog_interval`])
    /// while all of them move. Without a watchdog it only reports.
    pub async fn run(self, notifier: Notifier, watchdog: Option<Duration>, shutdown: CancellationToken) {
        let ping_every = watchdog.map(|limit| limit / 3);
        let look = ping_every.map_or(LOOK_INTERVAL, |ping| ping.min(LOOK_INTERVAL)).max(Duration::from_millis(10));
        let mut judge = Judge::new(look, ping_every);
        let mut ticks = interval(look);
        // After a freeze one look is enough; a burst of overdue ones would judge before anybody had a chance to run.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => self.look(&mut judge, &notifier),
            }
        }
    }

    fn look(&self, judge: &mut Judge, notifier: &Notifier) {
        let now = self.shared.origin.elapsed();
        let pulses: Vec<Pulse> = {
            let mut watched = self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|subsystem| !subsystem.retired.is_cancelled());
            watched.iter_mut().map(|subsystem| subsystem.pulse(now)).collect()
        };
        let before = self.states();
        let verdict = judge.step(now, &pulses);
        if let Some(frozen) = verdict.frozen_for {
            warn!(seconds = frozen.as_secs_f32(), "the process did not run for a while (suspended, or starved of CPU)");
        }
        for state in &verdict.states {
            let was_stuck = before.iter().any(|old| old.name == state.name && old.is_stuck());
            match (was_stuck, state.is_stuck()) {
                (false, true) => error!(
                    subsystem = state.name,
                    limit_seconds = state.limit.as_secs(),
                    "stuck: no progress for {} s; watchdog pings are withheld",
                    state.silent_for.as_secs()
                ),
                (true, false) => info!(subsystem = state.name, "moves again; watchdog pings resume"),
                (false, false) | (true, true) => {}
            }
        }
        notifier.alarm(verdict.alarm());
        if verdict.ping {
            notifier.watchdog();
        }
        self.shared.states.store(Arc::new(verdict.states));
    }

    fn watch(&self, subsystem: Watched) {
        self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner).push(subsystem);
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor").field("states", &self.states()).finish_non_exhaustive()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Runs a supervisor with a watchdog of 3 s and collects what it sends.
    fn supervised(supervisor: &Supervisor) -> (Arc<Mutex<Vec<String>>>, CancellationToken) {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let record = sent.clone();
        let notifier = Notifier::new(move |message| {
            record.lock().unwrap().extend(message.iter().map(ToString::to_string));
            Ok(())
        });
        let shutdown = CancellationToken::new();
        tokio::spawn(supervisor.clone().run(notifier, Some(seconds(3)), shutdown.clone()));
        (sent, shutdown)
    }

    #[tokio::test(start_paused = true)]
    async fn pings_while_all_beat_names_the_stuck_one_and_resumes() {
        let supervisor = Supervisor::new();
        let (gossip, consensus) =
            (supervisor.register("gossip", seconds(5)), supervisor.register("consensus", seconds(5)));
        let (sent, _shutdown) = supervised(&supervisor);
        let take = async |beating: &[&Heartbeat], for_seconds: u64| {
            for _ in 0..for_seconds * 2 {
                tokio::time::sleep(Duration::from_millis(500)).await;
                for heartbeat in beating {
                    heartbeat.beat();
                }
            }
            std::mem::take(&mut *sent.lock().unwrap())
        };
        let well = take(&[&gossip, &consensus], 10).await;
        assert!(well.len() >= 10 && well.iter().all(|message| message == "WATCHDOG=1"), "{well:?}");
        assert!(!supervisor.states().iter().any(SubsystemState::is_stuck));

        take(&[&consensus], 6).await;
        let stuck = take(&[&consensus], 10).await;
        assert!(!stuck.contains(&"WATCHDOG=1".to_owned()), "{stuck:?}");
        assert!(stuck.contains(&"STATUS=stuck: gossip for 12 s".to_owned()), "{stuck:?}");
        let named: Vec<_> = supervisor.states().iter().filter(|s| s.is_stuck()).map(|s| s.name).collect();
        assert_eq!(named, ["gossip"]);

        gossip.beat();
        let again = take(&[&gossip, &consensus], 5).await;
        assert!(again.contains(&"WATCHDOG=1".to_owned()), "{again:?}");
        assert_eq!(again.iter().filter(|message| message.starts_with("STATUS=stuck")).count(), 0, "{again:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_counter_that_stops_rising_is_noticed_until_its_subsystem_is_shut_down() {
        let supervisor = Supervisor::new();
        let retired = CancellationToken::new();
        let rounds = Arc::new(AtomicU64::new(0));
        let read = rounds.clone();
        supervisor.register_counter("consensus", seconds(5), move || read.load(Ordering::Relaxed), retired.clone());
        let (_sent, _shutdown) = supervised(&supervisor);
        for _ in 0..10 {
            tokio::time::sleep(seconds(1)).await;
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        assert!(!supervisor.states()[0].is_stuck());
        tokio::time::sleep(seconds(8)).await;
        assert!(supervisor.states()[0].is_stuck());
        retired.cancel();
        tokio::time::sleep(seconds(2)).await;
        assert!(supervisor.states().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_subsystem_that_ended_without_saying_so_counts_as_stuck() {
        let supervisor = Supervisor::new();
        let (_sent, _shutdown) = supervised(&supervisor);
        drop(supervisor.register("panicked", seconds(2)));
        supervisor.register("finished", seconds(2)).retire();
        tokio::time::sleep(seconds(5)).await;
        let states: Vec<_> = supervisor.states().iter().map(|state| (state.name, state.is_stuck())).collect();
        assert_eq!(states, [("panicked", true)]);
    }
}
