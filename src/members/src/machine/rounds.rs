//! What happens without being asked: pings, exchanges, the search for lost nodes, housekeeping.

use std::time::Duration;

use rand::seq::SliceRandom;
use ringrift_config::NodeId;

use super::{Machine, Output};
use crate::{Event, Facts, Moment, State, record::Record};

/// The pause between two looks for members to forget.
const SWEEP: Duration = Duration::from_mins(1);
/// Lost nodes that are looked for in one round by a node that has nobody to talk to.
const SEARCHES_ALONE: usize = 3;
/// Up to this many nodes there are two exchanges in a round; a digest of more is too long for that.
const SMALL_CLUSTER: usize = 256;
/// A clock that moved this much against the monotonic one was set by somebody.
const CLOCK_SET_MS: u64 = 1000;
/// The pause between two searches for the same lost node, in rounds. In between it is as many rounds as nodes are
/// present, so that about one of them looks for it in each round.
const SEARCH_ROUNDS: (u32, u32) = (8, 60);

impl<F: Facts> Machine<F> {
    /// Does all that is due.
    pub(super) fn keep_time(&mut self, now: Moment, out: &mut Vec<Output>) {
        if self.goodbye.is_some() {
            self.end_goodbye(now.at, out);
            return self.spread_rumours(now, out);
        }
        self.press_on(now, out);
        self.judge_suspects(now, out);
        if self.ping_at <= now.at {
            self.ping_watched(now, out);
        }
        if self.round_at <= now.at {
            self.round(now, out);
        }
        self.spread_rumours(now, out);
    }

    /// Pings the next of the nodes that this one watches.
    fn ping_watched(&mut self, now: Moment, out: &mut Vec<Output>) {
        let watched = self.watched();
        let turns = watched.len().max(1);
        if let Some(target) = watched.get(self.ping_turn % turns) {
            self.probe(now, target, false, out);
        }
        self.ping_turn = (self.ping_turn + 1) % turns;
        self.ping_at = now.at + self.jittered(self.timing.round / turns as u32);
    }

    /// The next few living nodes after this one on a ring that is the same everywhere, and the suspects between them. So
    /// each node has the same few watchers, which ping it every round: the first of them misses it within a round, where
    /// nodes that pick their targets at random would leave one in a hundred unnoticed for 4.6 rounds.
    fn watched(&self) -> Vec<NodeId> {
        let here = self.roster.own().place;
        let (living, all) = (self.timing.watchers, 3 * self.timing.watchers);
        let mut nearest: Vec<(u64, &Record<F>)> = Vec::with_capacity(all + 1);
        for record in self.roster.present() {
            let distance = record.place.wrapping_sub(here);
            let at = nearest.partition_point(|(d, r)| (*d, &r.id) < (distance, &record.id));
            if at < all {
                nearest.insert(at, (distance, record));
                nearest.truncate(all);
            }
        }
        let mut seen = 0;
        nearest.retain(|(_, record)| {
            let wanted = seen < living;
            seen += usize::from(record.state == State::Alive);
            wanted
        });
        nearest.into_iter().map(|(_, record)| record.id.clone()).collect()
    }

    fn round(&mut self, now: Moment, out: &mut Vec<Output>) {
        let turns = if self.roster.len() <= SMALL_CLUSTER { 2 } else { 1 };
        self.round_at = now.at + self.jittered(self.timing.round / turns);
        self.touches += 1;
        let touches = self.touches;
        let own = self.roster.own_mut();
        own.beat += 1;
        own.touched = touches;
        own.last_seen = Some(now.at);
        let partner = self.next_visit();
        let searches = if partner.is_some() { 1 } else { SEARCHES_ALONE };
        if let Some(partner) = partner {
            self.probe(now, &partner, true, out);
        }
        self.search(now, searches, out);
        self.judge_clocks(out);
        if self.sweep_at <= now.at {
            self.sweep_at = now.at + SWEEP;
            if now.at.checked_sub(self.timing.forget_after).is_some_and(|deadline| self.roster.forget(deadline)) {
                self.touch();
            }
        }
    }

    /// The partner of the next exchange: everybody has one turn, in random order, before somebody has a second one.
    fn next_visit(&mut self) -> Option<NodeId> {
        let is_present = |s: &Self, id: &NodeId| s.roster.get(id.as_str()).is_some_and(|r| r.state.is_present());
        loop {
            match self.visits.pop() {
                Some(id) if is_present(self, &id) => return Some(id),
                Some(_) => {}
                None => {
                    self.visits = self.roster.present().map(|r| r.id.clone()).collect();
                    if self.visits.is_empty() {
                        return None;
                    }
                    self.visits.shuffle(&mut self.rng);
                }
            }
        }
    }

    /// Looks for `amount` nodes that are dead or were never seen, those first that have waited longest.
    fn search(&mut self, now: Moment, amount: usize, out: &mut Vec<Output>) {
        let lost = |r: &&Record<F>| matches!(r.state, State::Unseen | State::Dead) && r.retry_at <= now.at;
        let mut due: Vec<(Duration, NodeId)> =
            self.roster.others().filter(lost).map(|r| (r.retry_at, r.id.clone())).collect();
        due.shuffle(&mut self.rng);
        due.sort_by_key(|(at, _)| *at);
        let rounds = (self.roster.present().count() as u32).clamp(SEARCH_ROUNDS.0, SEARCH_ROUNDS.1);
        let longest = self.timing.round * rounds;
        for (_, id) in due.into_iter().take(amount) {
            let pause = self.roster.get(id.as_str()).map_or(longest, |r| r.retry_pause * 2);
            let pause = pause.clamp(self.timing.round, longest);
            let retry_at = now.at + self.jittered(pause);
            if let Some(record) = self.roster.get_mut(id.as_str()) {
                (record.retry_at, record.retry_pause) = (retry_at, pause);
            }
            let deadline = self.timing.probe_timeout + self.timing.indirect_timeout;
            self.exchange(now, &id, 0, deadline, out);
        }
    }

    /// Reports clocks that are wrong. If most others disagree with this node it is this node's.
    fn judge_clocks(&mut self, out: &mut Vec<Output>) {
        let tolerance = self.timing.clock_tolerance;
        let (mut present, mut settled, mut off, mut reported) = (0, 0, 0, self.roster.own().clock.reported);
        for record in self.roster.present() {
            present += 1;
            settled += usize::from(record.clock.is_settled());
            off += usize::from(record.clock.is_off(tolerance));
            reported |= record.clock.reported;
        }
        if off == 0 && !reported {
            return;
        }
        if settled < present.min(3) {
            // The first to be measured must not be blamed for what all others would contradict.
            return;
        }
        let own_is_off = settled >= 2 && off * 2 > settled;
        let own_was_off = std::mem::replace(&mut self.roster.own_mut().clock.reported, own_is_off);
        let own = self.roster.own_id().clone();
        if own_is_off {
            if !own_was_off {
                let mut offsets: Vec<i64> = self.roster.present().filter_map(|r| r.clock.estimate_ms()).collect();
                offsets.sort_unstable();
                let offset_ms = offsets[offsets.len() / 2].saturating_neg();
                out.push(Output::Event(Event::ClockSkew { node: own, offset_ms }));
            }
            return;
        }
        if own_was_off {
            out.push(Output::Event(Event::ClockRight { node: own.clone() }));
        }
        for record in self.roster.iter_mut().filter(|r| r.id != own && r.state.is_present() && r.clock.is_settled()) {
            let is_off = record.clock.is_off(tolerance);
            let node = record.id.clone();
            if is_off && !record.clock.reported {
                let offset_ms = record.clock.estimate_ms().unwrap_or_default();
                out.push(Output::Event(Event::ClockSkew { node, offset_ms }));
            } else if !is_off && record.clock.reported {
                out.push(Output::Event(Event::ClockRight { node }));
            }
            record.clock.reported = is_off;
        }
    }

    /// Notices that somebody set this host's wall clock: all others seem to have moved the other way.
    pub(super) fn notice_clock_set(&mut self, now: Moment) {
        let lead = now.wall_ms.saturating_sub(now.at.as_millis() as i64);
        let step = lead.saturating_sub(self.clock_lead);
        if step.unsigned_abs() > CLOCK_SET_MS {
            self.clock_lead = lead;
            self.roster.iter_mut().for_each(|r| r.clock.own_clock_set(step));
        }
    }
}
