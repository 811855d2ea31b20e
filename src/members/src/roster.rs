use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{rngs::SmallRng, seq::IteratorRandom};
use ringrift_config::NodeId;

use crate::{
    State,
    record::Record,
    wire::{MAX_ROWS, Row},
};

/// A difference is cut off here; the rest follows in the next round.
const DIFFERENCE_BYTES: usize = 192 << 10;

/// All members that this node knows, itself included. Bounded.
#[derive(Debug)]
pub(crate) struct Roster<F> {
    own: NodeId,
    records: BTreeMap<NodeId, Record<F>>,
}

/// What one side of an exchange lacks.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Difference<'a> {
    /// Rows that the other side lacks.
    pub(crate) rows: Vec<Row<'a>>,
    /// Nodes of which the other side has newer facts.
    pub(crate) wants: Vec<&'a str>,
}

impl<F> Roster<F> {
    /// A roster of `own` alone.
    pub(crate) fn new(own: Record<F>) -> Self {
        let id = own.id.clone();
        Self { records: BTreeMap::from([(id.clone(), own)]), own: id }
    }

    pub(crate) fn own_id(&self) -> &NodeId {
        &self.own
    }

    pub(crate) fn own(&self) -> &Record<F> {
        &self.records[&self.own]
    }

    pub(crate) fn own_mut(&mut self) -> &mut Record<F> {
        self.records.get_mut(&self.own).expect("this node is never removed")
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Record<F>> {
        self.records.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Record<F>> {
        self.records.get_mut(id)
    }

    /// Adds a node, unless the table is full. Nodes of the hosts file always find a place.
    pub(crate) fn add(&mut self, record: Record<F>) -> Option<&mut Record<F>> {
        if self.records.len() >= MAX_ROWS && !record.known {
            return None;
        }
        Some(self.records.entry(record.id.clone()).or_insert(record))
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record<F>> {
        self.records.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Record<F>> {
        self.records.values_mut()
    }

    /// All but this node.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Record<F>> {
        self.records.values().filter(|r| r.id != self.own)
    }

    /// Alive and suspect nodes, without this one.
    pub(crate) fn present(&self) -> impl Iterator<Item = &Record<F>> {
        self.others().filter(|r| r.state.is_present())
    }

    /// Up to `amount` random present nodes, without `except`.
    pub(crate) fn some_present(&self, amount: usize, except: Option<&NodeId>, rng: &mut SmallRng) -> Vec<NodeId> {
        let candidates = self.present().filter(|r| Some(&r.id) != except);
        candidates.sample(rng, amount).into_iter().map(|r| r.id.clone()).collect()
    }

    /// Sets which nodes the hosts file names. Returns whether something changed.
    pub(crate) fn set_known(&mut self, known: BTreeSet<NodeId>, now: Duration) -> bool {
        let mut changed = false;
        let own = self.own.clone();
        self.records.retain(|id, record| {
            let stays = known.contains(id) || *id == own || record.state != State::Unseen;
            changed |= !stays || record.known != known.contains(id);
            record.known = known.contains(id);
            stays
        });
        for id in known {
            self.records.entry(id).or_insert_with_key(|id| {
                changed = true;
                Record::unseen(id.clone(), true, now)
            });
        }
        changed
    }

    /// Removes dead and left nodes that nobody knows and that have been so since before `deadline`, and met nodes that
    /// never answered. Returns whether there were some.
    pub(crate) fn forget(&mut self, deadline: Duration) -> bool {
        let before = self.records.len();
        self.records.retain(|_, r| r.known || r.state.is_present() || r.since >= deadline);
        before != self.records.len()
    }

    /// A summary of everybody who was ever seen.
    pub(crate) fn digest(&self) -> Vec<Row<'_>> {
        self.records.values().filter(|r| r.incarnation > 0).take(MAX_ROWS).map(Record::summary).collect()
    }

    /// Compares with another node's `digest`, which is ordered by id. `pivot` says where to begin if not everything fits,
    /// so that the same rows do not always come first.
    pub(crate) fn difference<'a>(&'a self, digest: &[Row<'a>], pivot: usize) -> Difference<'a> {
        let mut difference = Difference::default();
        let mut theirs = digest.iter().peekable();
        for record in self.records.values().filter(|r| r.incarnation > 0) {
            while theirs.next_if(|t| t.node < record.id.as_str()).is_some() {}
            match theirs.next_if(|t| t.node == record.id.as_str()) {
                None => difference.rows.push(record.in_full()),
                Some(row) => {
                    difference.rows.extend(record.newer_than(row));
                    if record.id != self.own && row.key() == record.key() && row.version > record.version {
                        difference.wants.push(row.node);
                    }
                }
            }
        }
        bounded(&mut difference.rows, pivot);
        difference
    }

    /// The records of `wants` in full, as many as fit.
    pub(crate) fn wanted(&self, wants: &[&str], pivot: usize) -> Vec<Row<'_>> {
        let found = wants.iter().filter_map(|id| self.records.get(*id));
        let mut rows = found.filter(|r| r.incarnation > 0).map(Record::in_full).collect();
        bounded(&mut rows, pivot);
        rows
    }
}

/// Keeps the rows that fit into one message.
fn bounded(rows: &mut Vec<Row<'_>>, pivot: usize) {
    let size = |row: &Row<'_>| 64 + row.node.len() + row.facts.map_or(0, |f| f.0.len());
    if rows.iter().map(size).sum::<usize>() <= DIFFERENCE_BYTES {
        return;
    }
    let len = rows.len();
    rows.rotate_left(pivot % len);
    let mut room = DIFFERENCE_BYTES;
    rows.retain(|row| match room.checked_sub(size(row)) {
        Some(rest) => {
            room = rest;
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(id: &str, incarnation: u64, state: State, version: u64) -> Record<()> {
        let mut record = Record::unseen(id.parse().unwrap(), false, Duration::ZERO);
        (record.instance, record.incarnation, record.state, record.version) = (5, incarnation, state, version);
        record.raw = Bytes::from_static(b"facts");
        record
    }

    fn roster(records: impl IntoIterator<Item = Record<()>>) -> Roster<()> {
        let mut roster = Roster::new(record("own", 1, State::Alive, 1));
        records.into_iter().for_each(|r| assert!(roster.add(r).is_some()));
        roster
    }

    #[test]
    fn a_difference_names_what_either_side_lacks_and_nothing_else() {
        let alive = State::Alive;
        let ours = [
            record("b-newer-facts", 1, alive, 7),
            record("c-older-facts", 1, alive, 7),
            record("d-worse-state", 1, State::Suspect, 7),
            record("e-newer-life", 3, alive, 0),
            record("f-same", 1, alive, 7),
            record("g-only-ours", 1, State::Dead, 7),
        ];
        let theirs = roster([
            record("a-only-theirs", 1, alive, 7),
            record("b-newer-facts", 1, alive, 6),
            record("c-older-facts", 1, alive, 8),
            record("d-worse-state", 1, alive, 7),
            record("e-newer-life", 2, alive, 9),
            record("f-same", 1, alive, 7),
        ]);
        let ours = roster(ours);
        let difference = ours.difference(&theirs.digest(), 0);
        let rows: Vec<_> = difference.rows.iter().map(|r| (r.node, r.facts.is_some())).collect();
        assert_eq!(
            rows,
            [("b-newer-facts", true), ("d-worse-state", false), ("e-newer-life", false), ("g-only-ours", true)]
        );
        // What only they have is learned from the digest first, and asked for then.
        assert_eq!(difference.wants, ["c-older-facts"]);
    }

    #[test]
    fn the_table_is_bounded_but_the_hosts_file_always_fits() {
        let mut roster = roster((1..MAX_ROWS).map(|i| record(&format!("n{i}"), 1, State::Alive, 0)));
        assert!(roster.add(record("late", 1, State::Alive, 0)).is_none());
        roster.set_known(BTreeSet::from(["late".parse().unwrap()]), Duration::ZERO);
        assert_eq!(roster.get("late").map(|r| r.state), Some(State::Unseen));
        assert_eq!(roster.len(), MAX_ROWS + 1);
    }

    #[test]
    fn only_strangers_that_are_gone_are_forgotten() {
        let at = Duration::from_secs;
        let mut records = ["old", "young", "known", "alive"].map(|id| record(id, 1, State::Dead, 0));
        (records[1].since, records[2].known, records[3].state) = (at(50), true, State::Alive);
        let mut roster = roster(records);
        assert!(roster.forget(at(50)));
        assert_eq!(roster.others().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["alive", "known", "young"]);
        assert!(!roster.forget(at(50)));
    }
}
