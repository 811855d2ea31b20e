//! What is said of other nodes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ringrift_config::NodeId;

use super::{Machine, Output};
use crate::{
    Event, Facts, Moment, State,
    record::{Record, Suspicion},
    wire::{Head, Raw, Row},
};

/// Facts that are nested deeper are refused before they exhaust the stack.
const MAX_DEPTH: usize = 32;

impl<F: Facts> Machine<F> {
    /// Takes in `row` if it is newer than what is known. Applying it twice, or in another order, ends in the same.
    pub(super) fn learn(&mut self, now: Moment, row: &Row<'_>, out: &mut Vec<Output>) {
        if row.node == self.roster.own_id().as_str() {
            return self.about_me(now, row, out);
        }
        if self.roster.get(row.node).is_none() && !self.admit(now, row, out) {
            return;
        }
        let Some(record) = self.roster.get(row.node) else { return };
        if row.key() < record.key() {
            return;
        }
        if row.key() > record.key() || row.state > record.state {
            self.adopt(now, row, out);
        }
        self.take_facts(now, row, out);
    }

    /// Makes a place for a node that was never heard of. The dead and the departed get none: somebody who still
    /// remembers them would otherwise bring them back for ever to those who have forgotten them.
    fn admit(&mut self, now: Moment, row: &Row<'_>, out: &mut Vec<Output>) -> bool {
        if !row.state.is_present() {
            return false;
        }
        let Ok(id) = NodeId::try_from(row.node) else { return false };
        if self.roster.add(Record::unseen(id.clone(), false, now.at)).is_some() {
            return true;
        }
        if self.complaints.may(now.at, self.roster.own_id()) {
            out.push(Output::Event(Event::TableFull { node: id }));
        }
        false
    }

    /// Takes over who `row` says is in which state; it wins over the record.
    fn adopt(&mut self, now: Moment, row: &Row<'_>, out: &mut Vec<Output>) {
        let Some(record) = self.roster.get_mut(row.node) else { return };
        let id = record.id.clone();
        let same = row.key() == record.key();
        let doubted = record.suspicion.is_some_and(|s| s.doubted);
        // Death without a suspicion before it, or soon after one: we have missed the news, or they come from the other
        // side of a partition that has healed. The node is asked itself before it is buried.
        let warned = |s: Suspicion| !s.doubted && now.at >= s.since + self.timing.suspicion / 2;
        let doubt =
            row.state == State::Dead && record.state.is_present() && !(same && record.suspicion.is_some_and(warned));
        if doubt && same && doubted {
            return;
        }
        let restarted = record.incarnation > 0 && record.instance != row.instance;
        if !same {
            (record.incarnation, record.instance) = row.key();
            // The facts stay visible until those of this incarnation arrive.
            record.version = 0;
            if restarted {
                record.beat = 0;
            }
        }
        let accuser = row.accuser.and_then(|a| a.parse().ok());
        let was_present = record.state.is_present();
        if doubt {
            let suspicion = Suspicion { since: now.at, confirmed: false, doubted: true, ask_at: now.at };
            self.suspect(now, &id, accuser, suspicion, out);
            return;
        }
        if row.state == State::Suspect {
            let suspicion = self.hearsay(now.at);
            self.suspect(now, &id, accuser, suspicion, out);
        } else {
            self.become_state(now, &id, row.state, accuser, out);
        }
        if restarted && was_present && row.state == State::Alive {
            out.push(Output::Event(Event::Restarted { node: id.clone(), instance: row.instance }));
        }
        self.rumours.add(now.at, &id);
    }

    /// Takes over facts and signs of life that belong to what is known now.
    fn take_facts(&mut self, now: Moment, row: &Row<'_>, out: &mut Vec<Output>) {
        let Some(record) = self.roster.get_mut(row.node).filter(|r| r.key() == row.key()) else { return };
        if row.beat > record.beat {
            record.beat = row.beat;
            if record.state.is_present() {
                self.touches += 1;
                record.touched = self.touches;
                record.last_seen = Some(now.at);
            }
        }
        let Some(Raw(raw)) = row.facts.filter(|_| row.version > record.version) else { return };
        record.version = row.version;
        if record.raw == raw {
            return;
        }
        record.raw = Bytes::copy_from_slice(raw);
        let mut decoder = rmp_serde::Deserializer::from_read_ref(raw);
        decoder.set_max_depth(MAX_DEPTH);
        match F::deserialize(&mut decoder) {
            Ok(facts) => {
                self.revision += 1;
                self.touches += 1;
                record.touched = self.touches;
                record.facts = Some(Arc::new(facts));
                record.facts_at = Some(now.at);
            }
            Err(e) => {
                // Passed on all the same: others may be able to read them.
                if self.complaints.may(now.at, &record.id) {
                    let error = format!("version {} cannot be decoded: {e}", row.version);
                    out.push(Output::Event(Event::BadFacts { node: record.id.clone(), error }));
                }
            }
        }
    }

    /// `from` has just spoken for itself.
    pub(super) fn seen(&mut self, now: Moment, from: &NodeId, head: &Head<'_>) {
        let key = (head.incarnation, head.instance);
        if let Some(record) = self.roster.get_mut(from.as_str())
            && record.key() == key
            && record.id.as_str() == head.node
        {
            self.touches += 1;
            record.touched = self.touches;
            record.last_seen = Some(now.at);
        }
    }

    /// Changes the state of a member that is not (or no longer) suspect.
    pub(super) fn become_state(
        &mut self,
        now: Moment,
        id: &NodeId,
        state: State,
        accuser: Option<NodeId>,
        out: &mut Vec<Output>,
    ) {
        let touches = self.touch();
        let retry_pause = self.timing.round * 2;
        let Some(record) = self.roster.get_mut(id.as_str()) else { return };
        record.touched = touches;
        record.suspicion = None;
        if state == State::Alive {
            record.last_seen = Some(now.at);
            record.accuser = None;
        } else {
            (record.retry_at, record.retry_pause) = (now.at + retry_pause, retry_pause);
            record.accuser = accuser.or_else(|| record.accuser.take());
        }
        self.suspects.remove(id);
        self.set_state(now.at, id, state, out);
        if state != State::Alive {
            self.probes.end(id);
        }
    }

    /// Makes a member suspect, or begins its suspicion anew.
    pub(super) fn suspect(
        &mut self,
        now: Moment,
        id: &NodeId,
        accuser: Option<NodeId>,
        suspicion: Suspicion,
        out: &mut Vec<Output>,
    ) {
        let touches = self.touch();
        let Some(record) = self.roster.get_mut(id.as_str()) else { return };
        record.touched = touches;
        record.suspicion = Some(suspicion);
        record.accuser = accuser;
        self.suspects.insert(id.clone());
        self.set_state(now.at, id, State::Suspect, out);
    }

    fn set_state(&mut self, now: Duration, id: &NodeId, state: State, out: &mut Vec<Output>) {
        let Some(record) = self.roster.get_mut(id.as_str()) else { return };
        if record.state == state {
            return;
        }
        let from = std::mem::replace(&mut record.state, state);
        record.since = now;
        let accuser = record.accuser.clone();
        out.push(Output::Event(Event::Changed { node: id.clone(), from, to: state, accuser }));
    }
}
