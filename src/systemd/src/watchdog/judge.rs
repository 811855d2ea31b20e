//! The decision itself: who is stuck, and may systemd be pinged? Pure: the time and the pulses come in, a verdict goes out.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use super::SubsystemState;

/// When a subsystem last moved. Times are since the supervisor's origin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pulse {
    pub(super) name: &'static str,
    pub(super) limit: Duration,
    pub(super) last: Duration,
}

/// The outcome of one look.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) states: Vec<SubsystemState>,
    /// Send the sign of life now.
    pub(super) ping: bool,
    /// The time in which the process as a whole did not run, when it was noticed just now.
    pub(super) frozen_for: Option<Duration>,
}

impl Verdict {
    /// The text for the status line: `stuck: gossip for 12 s`.
    pub(super) fn alarm(&self) -> Option<String> {
        let mut text = String::new();
        for stuck in self.states.iter().filter(|state| state.is_stuck()) {
            let lead = if text.is_empty() { "stuck: " } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{lead}{} for {} s", stuck.name, stuck.silent_for.as_secs());
        }
        (!text.is_empty()).then_some(text)
    }
}

/// Remembers what a verdict depends on besides the present.
#[derive(Debug)]
pub(super) struct Judge {
    look_every: Duration,
    ping_every: Option<Duration>,
    looked: Option<Duration>,
    pinged: Option<Duration>,
    /// Time in which the process did not run, in all.
    frozen: Duration,
    /// Each subsystem's last pulse, and `frozen` as it was when that pulse was first seen.
    seen: HashMap<&'static str, (Duration, Duration)>,
}

impl Judge {
    /// Will be asked every `look_every`; pings every `ping_every`, or never.
    pub(super) fn new(look_every: Duration, ping_every: Option<Duration>) -> Self {
        Self { look_every, ping_every, looked: None, pinged: None, frozen: Duration::ZERO, seen: HashMap::new() }
    }

    pub(super) fn step(&mut self, now: Duration, pulses: &[Pulse]) -> Verdict {
        // The supervisor was late itself: for that time nobody ran, and nobody is to blame (a laptop's lid, a frozen
        // cgroup, a stopped process). Only the excess is forgiven, so that a starved process still finds its hangs.
        let gap = self.looked.map_or(Duration::ZERO, |looked| now.saturating_sub(looked));
        let frozen_for = gap.checked_sub(self.look_every * 3);
        self.frozen += frozen_for.unwrap_or_default();
        self.looked = Some(now);

        let states: Vec<SubsystemState> = pulses.iter().map(|pulse| self.state(now, pulse)).collect();
        let stuck = states.iter().any(SubsystemState::is_stuck);
        let due = self.ping_every.is_some_and(|every| {
            // A look that comes a hair early must not put the ping off by a whole round.
            self.pinged.is_none_or(|pinged| now + self.look_every / 2 >= pinged + every)
        });
        let ping = due && !stuck;
        if ping {
            self.pinged = Some(now);
        }
        Verdict { states, ping, frozen_for: frozen_for.filter(|lost| !lost.is_zero()) }
    }

    fn state(&mut self, now: Duration, pulse: &Pulse) -> SubsystemState {
        let frozen = self.frozen;
        let seen = self.seen.entry(pulse.name).or_insert((pulse.last, frozen));
        if seen.0 != pulse.last {
            *seen = (pulse.last, frozen);
        }
        let frozen_since = frozen.saturating_sub(seen.1);
        let silent_for = now.saturating_sub(pulse.last).saturating_sub(frozen_since);
        SubsystemState { name: pulse.name, silent_for, limit: pulse.limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn pulse(name: &'static str, limit: u64, last: u64) -> Pulse {
        Pulse { name, limit: at(limit), last: at(last) }
    }

    /// Looks every second from 0 to `until` and returns the last verdict. `gossip` (limit 10) and `consensus` (limit 5)
    /// beat every second until the given times.
    fn watch(until: u64, gossip_until: u64, consensus_until: u64) -> Verdict {
        let mut judge = Judge::new(SECOND, Some(SECOND));
        let mut look = |now: u64| {
            judge.step(
                at(now),
                &[pulse("gossip", 10, now.min(gossip_until)), pulse("consensus", 5, now.min(consensus_until))],
            )
        };
        (0..until).for_each(|now| {
            look(now);
        });
        look(until)
    }

    #[test]
    fn pings_only_while_every_subsystem_moved_within_its_own_limit() {
        for (until, gossip_until, consensus_until, expected) in [
            (60, 60, 60, None),
            (60, 50, 60, None),
            (60, 60, 55, None),
            (60, 49, 60, Some("stuck: gossip for 11 s")),
            (60, 60, 54, Some("stuck: consensus for 6 s")),
            (60, 0, 0, Some("stuck: gossip for 60 s, consensus for 60 s")),
        ] {
            let verdict = watch(until, gossip_until, consensus_until);
            let case = (until, gossip_until, consensus_until);
            assert_eq!(verdict.alarm().as_deref(), expected, "{case:?}");
            assert_eq!(verdict.ping, expected.is_none(), "{case:?}");
        }
    }

    #[test]
    fn pings_at_the_asked_pace_and_never_without_a_watchdog() {
        for (ping_every, expected) in
            [(None, vec![]), (Some(at(10)), vec![0, 10, 20, 30]), (Some(at(1)), (0..=30).collect::<Vec<_>>())]
        {
            let mut judge = Judge::new(SECOND, ping_every);
            let pinged: Vec<u64> = (0..=30).filter(|now| judge.step(at(*now), &[]).ping).collect();
            assert_eq!(pinged, expected, "{ping_every:?}");
        }
    }

    #[test]
    fn resumes_pinging_at_once_when_the_stuck_one_moves_again() {
        let mut judge = Judge::new(SECOND, Some(at(10)));
        (0..=40).for_each(|now| {
            judge.step(at(now), &[pulse("gossip", 5, 0)]);
        });
        assert!(judge.step(at(41), &[pulse("gossip", 5, 41)]).ping);
    }

    #[test]
    fn nobody_is_blamed_for_the_time_in_which_the_process_was_frozen() {
        let mut judge = Judge::new(SECOND, Some(SECOND));
        for now in 0..=5 {
            judge.step(at(now), &[pulse("gossip", 10, now)]);
        }
        let woken = judge.step(at(3600), &[pulse("gossip", 10, 5)]);
        assert_eq!(woken.alarm(), None);
        assert_eq!(woken.frozen_for, Some(at(3592)));
        // Its allowance then runs out as usual: 3 s of the gap were its own.
        let verdicts: Vec<bool> =
            (3601..=3609).map(|now| judge.step(at(now), &[pulse("gossip", 10, 5)]).ping).collect();
        assert_eq!(verdicts, [true, true, true, true, true, true, true, false, false]);
    }

    #[test]
    fn a_starved_process_still_finds_its_hang() {
        // Every look comes 5 s late, for ever.
        let mut judge = Judge::new(SECOND, Some(SECOND));
        let found = (0..100).map(|round| round * 6).find(|now| !judge.step(at(*now), &[pulse("gossip", 10, 0)]).ping);
        assert_eq!(found, Some(24));
    }
}
