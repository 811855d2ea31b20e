use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ringrift_config::NodeId;

use crate::LinkError;

/// Entries kept; the ones over longest go first.
const MAX_ENTRIES: usize = 4096;

/// What is left alone for a while after it failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// `host:port`.
    Address(String),
    /// A way over a relay.
    Relay {
        /// Who should pass bytes on.
        relay: NodeId,
        /// To whom.
        to: NodeId,
    },
    /// A node that broke the protocol, wherever it is.
    Node(NodeId),
}

/// When what failed may be tried again. The wait doubles with each failure in a row. Pure: time and chance come in.
#[derive(Debug)]
pub(crate) struct BackOff {
    first: Duration,
    longest: Duration,
    failed: HashMap<Target, Failure>,
}

#[derive(Debug)]
struct Failure {
    in_a_row: u32,
    until: Instant,
    last: LinkError,
}

impl BackOff {
    pub(crate) fn new((first, longest): (Duration, Duration)) -> Self {
        Self { first, longest, failed: HashMap::new() }
    }

    /// How much longer a target is left alone, and why.
    pub(crate) fn remaining(&self, target: &Target, now: Instant) -> Option<(Duration, &LinkError)> {
        let failure = self.failed.get(target)?;
        let left = failure.until.saturating_duration_since(now);
        (!left.is_zero()).then_some((left, &failure.last))
    }

    /// Notes a failure and returns whether it is one more in a row. `chance` in 0..1 spreads the next tries of many
    /// nodes over half to all of the wait.
    pub(crate) fn failed(&mut self, target: Target, error: LinkError, now: Instant, chance: f64) -> bool {
        let forgotten = self.longest * 10;
        if self.failed.len() >= MAX_ENTRIES && !self.failed.contains_key(&target) {
            self.failed.retain(|_, failure| failure.until > now);
            if self.failed.len() >= MAX_ENTRIES {
                return false;
            }
        }
        let before = self.failed.get(&target).filter(|failure| now < failure.until + forgotten);
        let again = before.is_some();
        let in_a_row = before.map_or(0, |failure| failure.in_a_row.saturating_add(1));
        let wait = self.first.saturating_mul(1 << in_a_row.min(20)).min(self.longest);
        let until = now + wait.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        self.failed.insert(target, Failure { in_a_row, until, last: error });
        again
    }

    /// Forgets the failures of a target.
    pub(crate) fn succeeded(&mut self, target: &Target) {
        self.failed.remove(target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> (BackOff, Target, Instant) {
        let table = BackOff::new((Duration::from_millis(100), Duration::from_secs(5)));
        (table, Target::Address("10.0.0.1:8765".to_owned()), Instant::now())
    }

    #[test]
    fn the_wait_doubles_up_to_its_longest_and_ends_with_success() {
        let (mut table, target, now) = table();
        let mut waits = Vec::new();
        for _ in 0..8 {
            table.failed(target.clone(), LinkError::Stopped, now, 1.0);
            waits.push(table.remaining(&target, now).unwrap().0.as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(table.remaining(&target, now + Duration::from_secs(5)).is_none());
        table.succeeded(&target);
        assert!(table.remaining(&target, now).is_none());
        table.failed(target.clone(), LinkError::Stopped, now, 0.0);
        assert_eq!(table.remaining(&target, now).unwrap().0, Duration::from_millis(50));
    }

    #[test]
    fn a_failure_long_ago_no_longer_counts() {
        let (mut table, target, now) = table();
        for _ in 0..8 {
            table.failed(target.clone(), LinkError::Stopped, now, 1.0);
        }
        let later = now + Duration::from_mins(1);
        table.failed(target.clone(), LinkError::Stopped, later, 1.0);
        assert_eq!(table.remaining(&target, later).unwrap().0, Duration::from_millis(100));
    }

    #[test]
    fn the_table_stays_bounded() {
        let (mut table, _, now) = table();
        for port in 0..2 * MAX_ENTRIES {
            table.failed(Target::Address(format!("h:{port}")), LinkError::Stopped, now, 0.5);
        }
        assert_eq!(table.failed.len(), MAX_ENTRIES);
    }
}
