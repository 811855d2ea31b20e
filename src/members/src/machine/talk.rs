//! Requests and answers.

use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use ringrift_config::NodeId;

use super::{Call, Failure, Machine, Moment, Output, Purpose};
use crate::{
    Event, Facts, State,
    roster::Roster,
    wire::{Head, MAX_ROWS, Message, Row, WireError},
};

/// The most probes that are made for others at the same time. Beyond it they get an answer that proves nothing.
const MAX_FAVOURS: usize = 64;
/// News that did not arrive are sent to this many others instead.
const NEWS_RETRIES: u8 = 2;

impl<F: Facts> Machine<F> {
    /// Answers `payload` that `from` sent.
    pub(super) fn serve(&mut self, now: Moment, ticket: u64, from: &NodeId, payload: &Bytes, out: &mut Vec<Output>) {
        let message = match self.read(payload, from) {
            Ok(message) => message,
            Err(error) => {
                self.complain(now, from, &error, out);
                return out.push(Output::Reply { ticket, answer: Err(error.to_string()) });
            }
        };
        self.heard(now, &message, from, out);
        if let Some(target) = message.probe {
            return self.do_favour(now, ticket, from, target, out);
        }
        let pivot = self.rng.random_range(0..usize::MAX);
        let payload = self.message(now, |answer, roster| {
            if let Some(digest) = &message.digest {
                let difference = roster.difference(digest, pivot);
                (answer.rows, answer.wants) = (difference.rows, difference.wants);
                return;
            }
            answer.rows = roster.wanted(&message.wants, pivot);
            // What we hold of the speaker, if it should object to it.
            let held = roster.get(from.as_str()).and_then(|r| r.newer_than(&head_row(&message.head)));
            answer.rows.extend(held);
        });
        out.push(Output::Reply { ticket, answer: Ok(payload) });
    }

    /// Call `call` has come to an end.
    pub(super) fn answered(&mut self, now: Moment, call: u64, outcome: Result<Bytes, Failure>, out: &mut Vec<Output>) {
        let Some(call) = self.calls.remove(&call) else { return };
        match outcome {
            Ok(payload) => self.succeeded(now, call, &payload, out),
            Err(failure) => self.failed(now, call, failure, out),
        }
    }

    fn succeeded(&mut self, now: Moment, call: Call, payload: &Bytes, out: &mut Vec<Output>) {
        let message = match self.read(payload, &call.to) {
            Ok(message) => message,
            Err(error) => {
                self.complain(now, &call.to, &error, out);
                // It is there, whatever it is: a node of another version is not a dead one.
                self.probes.end(&call.to);
                return self.release(now, call, out);
            }
        };
        self.heard(now, &message, &call.to, out);
        self.probes.end(&call.to);
        self.measure(now, &call, message.head.wall_ms);
        if !message.wants.is_empty() {
            let pivot = self.rng.random_range(0..usize::MAX);
            let payload = self.message(now, |push, roster| push.rows = roster.wanted(&message.wants, pivot));
            let deadline = self.timing.probe_timeout * 4;
            self.send(now, call.to.clone(), Purpose::Push, payload, deadline, out);
        }
        match call.purpose {
            Purpose::Ask { target, .. } if message.reached == Some(true) => self.vouched_for(now, &target),
            Purpose::Ask { target, probe } => self.helper_failed(now, &target, probe, out),
            Purpose::Favour { ticket } => self.return_favour(now, ticket, &call.to, Some(true), out),
            Purpose::Goodbye => self.goodbye_heard(),
            Purpose::Ping { .. } | Purpose::Exchange { .. } | Purpose::News { .. } | Purpose::Push => {}
        }
    }

    fn failed(&mut self, now: Moment, call: Call, failure: Failure, out: &mut Vec<Output>) {
        match call.purpose {
            Purpose::Ping { probe } | Purpose::Exchange { probe } => match failure {
                Failure::NoAnswer => self.direct_failed(now, &call.to, probe, out),
                Failure::NotMade => self.probes.end(&call.to),
            },
            Purpose::Ask { target, probe } => self.helper_failed(now, &target, probe, out),
            Purpose::News { payload, retries } => {
                let Some(retries) = retries.checked_sub(1) else { return };
                for to in self.roster.some_present(1, Some(&call.to), &mut self.rng) {
                    let purpose = Purpose::News { payload: payload.clone(), retries };
                    self.send(now, to, purpose, payload.clone(), self.timing.probe_timeout, out);
                }
            }
            Purpose::Favour { .. } | Purpose::Goodbye | Purpose::Push => self.release(now, call, out),
        }
    }

    /// Ends a call whose answer is of no use.
    fn release(&mut self, now: Moment, call: Call, out: &mut Vec<Output>) {
        match call.purpose {
            Purpose::Favour { ticket } => self.return_favour(now, ticket, &call.to, Some(false), out),
            Purpose::Ask { target, probe } => self.helper_failed(now, &target, probe, out),
            Purpose::Goodbye => self.goodbye_heard(),
            Purpose::Ping { .. } | Purpose::Exchange { .. } | Purpose::News { .. } | Purpose::Push => {}
        }
    }

    /// Sends the news that are due to a few random nodes, and to the accused.
    pub(super) fn spread_rumours(&mut self, now: Moment, out: &mut Vec<Output>) {
        let Some((about, to)) = self.rumours.take_due(now.at) else { return };
        let amount = crate::rumours::fan_out(self.roster.present().count());
        let mut listeners = self.roster.some_present(amount, None, &mut self.rng);
        listeners.extend(to.into_iter().filter(|n| !listeners.contains(n)).collect::<Vec<_>>());
        let payload = self.message(now, |m, roster| {
            let known = about.iter().filter_map(|id| roster.get(id.as_str())).take(MAX_ROWS);
            m.rows = known.filter(|r| r.incarnation > 0).map(crate::record::Record::news).collect();
        });
        let deadline = self.timing.probe_timeout;
        for to in listeners {
            let purpose = Purpose::News { payload: payload.clone(), retries: NEWS_RETRIES };
            self.send(now, to, purpose, payload.clone(), deadline, out);
        }
    }

    /// Asks `to` for a sign of life, and tells it what it should object to.
    pub(super) fn ping(
        &mut self,
        now: Moment,
        to: &NodeId,
        purpose: Purpose,
        deadline: Duration,
        out: &mut Vec<Output>,
    ) {
        let payload = self.message(now, |m, roster| {
            let told = roster.get(to.as_str()).filter(|r| r.incarnation > 0 && r.state != State::Alive);
            m.rows.extend(told.map(crate::record::Record::news));
        });
        self.send(now, to.clone(), purpose, payload, deadline, out);
    }

    /// Compares with `to` what both know.
    pub(super) fn exchange(&mut self, now: Moment, to: &NodeId, probe: u64, deadline: Duration, out: &mut Vec<Output>) {
        let payload = self.message(now, |m, roster| m.digest = Some(roster.digest()));
        self.send(now, to.clone(), Purpose::Exchange { probe }, payload, deadline, out);
    }

    /// Asks `helper` to try `target`.
    pub(super) fn ask(&mut self, now: Moment, helper: NodeId, target: &NodeId, probe: u64, out: &mut Vec<Output>) {
        let payload = self.message(now, |m, roster| {
            m.probe = Some(target.as_str());
            m.rows.extend(roster.get(target.as_str()).filter(|r| r.state == State::Suspect).map(|r| r.news()));
        });
        let deadline = self.health.stretch(self.timing.indirect_timeout);
        self.send(now, helper, Purpose::Ask { target: target.clone(), probe }, payload, deadline, out);
    }

    fn do_favour(&mut self, now: Moment, ticket: u64, from: &NodeId, target: &str, out: &mut Vec<Output>) {
        let busy = self.calls.values().filter(|c| matches!(c.purpose, Purpose::Favour { .. })).count() >= MAX_FAVOURS;
        match self.roster.get(target).map(|r| r.id.clone()) {
            Some(target) if target == *self.roster.own_id() => {
                self.return_favour(now, ticket, &target, Some(true), out);
            }
            Some(target) if !busy && self.goodbye.is_none() => {
                // The one who asked waits for `indirect_timeout`; a tenth of it is for the way back.
                let deadline = self.timing.indirect_timeout.mul_f64(0.9);
                self.ping(now, &target, Purpose::Favour { ticket }, deadline, out);
            }
            _ => self.return_favour(now, ticket, from, None, out),
        }
    }

    fn return_favour(
        &mut self,
        now: Moment,
        ticket: u64,
        target: &NodeId,
        reached: Option<bool>,
        out: &mut Vec<Output>,
    ) {
        let payload = self.message(now, |m, roster| {
            m.reached = reached;
            m.rows.extend(roster.get(target.as_str()).filter(|r| r.incarnation > 0).map(|r| r.news()));
        });
        out.push(Output::Reply { ticket, answer: Ok(payload) });
    }

    /// The message that `fill` makes, with this node's head.
    pub(super) fn message<'s>(&'s self, now: Moment, fill: impl FnOnce(&mut Message<'s>, &'s Roster<F>)) -> Bytes {
        let own = self.roster.own();
        let head = Head {
            node: own.id.as_str(),
            instance: own.instance,
            incarnation: own.incarnation,
            beat: own.beat,
            wall_ms: now.wall_ms,
        };
        let mut message = Message { head, ..Message::default() };
        fill(&mut message, &self.roster);
        message.encode()
    }

    pub(super) fn send(
        &mut self,
        now: Moment,
        to: NodeId,
        purpose: Purpose,
        payload: Bytes,
        deadline: Duration,
        out: &mut Vec<Output>,
    ) {
        self.last_call += 1;
        self.calls.insert(self.last_call, Call { to: to.clone(), sent: now, purpose });
        out.push(Output::Send { call: self.last_call, to, payload, deadline });
    }

    /// Decodes a message; one that names a node which cannot exist is refused as a whole.
    fn read<'a>(&self, payload: &'a Bytes, from: &NodeId) -> Result<Message<'a>, WireError> {
        let message = Message::decode(payload, from.as_str())?;
        let rows = message.digest.iter().flatten().chain(&message.rows);
        for node in rows.map(|row| row.node).filter(|node| self.roster.get(node).is_none()) {
            if let Err(error) = NodeId::try_from(node) {
                let node = node.chars().take(80).collect();
                return Err(WireError::Row { node, what: error.to_string() });
            }
        }
        Ok(message)
    }

    fn complain(&mut self, now: Moment, of: &NodeId, error: &WireError, out: &mut Vec<Output>) {
        if self.complaints.may(now.at, of) {
            out.push(Output::Event(Event::Garbage { node: of.clone(), error: error.to_string() }));
        }
    }

    /// Learns all that `message` says.
    fn heard(&mut self, now: Moment, message: &Message<'_>, from: &NodeId, out: &mut Vec<Output>) {
        self.learn(now, &head_row(&message.head), out);
        self.seen(now, from, &message.head);
        for row in message.digest.iter().flatten().chain(&message.rows) {
            self.learn(now, row, out);
        }
    }

    fn measure(&mut self, now: Moment, call: &Call, theirs_ms: i64) {
        if matches!(call.purpose, Purpose::Ask { .. }) {
            // The helper answered when its own probe was over.
            return;
        }
        if let Some(record) = self.roster.get_mut(call.to.as_str()) {
            let sample = now.at.saturating_sub(call.sent.at);
            record.rtt = Some(record.rtt.map_or(sample, |rtt| (rtt * 7 + sample) / 8));
            record.clock.sample(call.sent.wall_ms, now.wall_ms, theirs_ms, sample);
        }
    }
}

/// Whoever speaks is alive.
fn head_row<'a>(head: &Head<'a>) -> Row<'a> {
    Row {
        node: head.node,
        instance: head.instance,
        incarnation: head.incarnation,
        state: State::Alive,
        version: 0,
        beat: head.beat,
        accuser: None,
        facts: None,
    }
}
