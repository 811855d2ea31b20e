use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{Facts, Machine, Member, Table, record::Record};

/// Turns the machine's records into tables for readers. Rows that did not change are shared with the table before.
#[derive(Debug)]
pub(crate) struct Publisher {
    touches: u64,
    revision: u64,
    published_at: Duration,
}

/// The longest time that [`Member::last_seen`] may lag behind.
const REFRESH: Duration = Duration::from_secs(1);

impl Publisher {
    /// The first table.
    pub(crate) fn first<F: Facts>(now: (Duration, Instant), machine: &Machine<F>) -> (Self, Table<F>) {
        let publisher = Self { touches: machine.touches(), revision: machine.revision(), published_at: now.0 };
        let rows = machine.records().map(|r| Arc::new(member(r, now))).collect();
        (publisher, Table::new(machine.own_id(), rows))
    }

    /// The next table, if readers would see a difference; and its revision if that is more than a newer `last_seen`.
    /// `now` is the machine's time and the readers'.
    pub(crate) fn next<F: Facts>(
        &mut self,
        now: (Duration, Instant),
        machine: &Machine<F>,
        last: &Table<F>,
    ) -> Option<(Table<F>, Option<u64>)> {
        let changed = machine.revision() != self.revision;
        let seen = machine.touches() != self.touches && now.0 >= self.published_at + REFRESH;
        if !changed && !seen {
            return None;
        }
        let mut before = last.shared().iter().peekable();
        let rows = machine.records().map(|record| {
            while before.next_if(|m| m.id < record.id).is_some() {}
            match before.next_if(|m| m.id == record.id) {
                Some(member) if record.touched <= self.touches => Arc::clone(member),
                _ => Arc::new(member(record, now)),
            }
        });
        let table = Table::new(machine.own_id(), rows.collect());
        (self.touches, self.revision, self.published_at) = (machine.touches(), machine.revision(), now.0);
        Some((table, changed.then_some(self.revision)))
    }
}

fn member<F>(record: &Record<F>, (at, instant): (Duration, Instant)) -> Member<F> {
    // The machine's time runs on while the host sleeps, that of an `Instant` does not.
    let instant = |then: Duration| instant.checked_sub(at.saturating_sub(then)).unwrap_or(instant);
    Member {
        id: record.id.clone(),
        instance: record.instance,
        incarnation: record.incarnation,
        state: record.state,
        facts: record.facts.clone(),
        last_seen: record.last_seen.map(instant),
        since: instant(record.since),
        rtt: record.rtt,
        facts_at: record.facts_at.map(instant),
        clock_offset_ms: record.clock.estimate_ms(),
        accuser: record.accuser.clone(),
        known: record.known,
    }
}
