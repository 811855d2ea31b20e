//! From a missing answer to a death: probe, accusation, suspicion, verdict.

use std::time::Duration;

use rand::RngExt;
use ringrift_config::NodeId;

use super::{Machine, Output, Purpose};
use crate::{
    Event, Facts, Moment, State,
    probe::{Phase, Probe},
    record::{Record, Suspicion},
};

/// The most probes at the same time. Those of watched nodes are few; these many run only when half of the cluster comes
/// back from the other side of a partition.
const MAX_PROBES: usize = 64;

impl<F: Facts> Machine<F> {
    /// Finds out whether `target` is alive, unless that is under way. With a comparison of what both know, if `compare`.
    pub(super) fn probe(&mut self, now: Moment, target: &NodeId, compare: bool, out: &mut Vec<Output>) {
        let patience = self.health.stretch(self.timing.probe_timeout);
        let deadline = patience + self.health.stretch(self.timing.indirect_timeout);
        let again_at = (!compare).then_some(now.at + patience / 2);
        let started = self.probes.start(target, again_at, now.at + patience);
        match (started, compare) {
            (Some(probe), false) => self.ping(now, target, Purpose::Ping { probe }, deadline, out),
            (started, true) => self.exchange(now, target, started.unwrap_or(0), deadline, out),
            (None, false) => {}
        }
    }

    /// A link to `node` broke: it is probed at once, since a living node can be reached again.
    pub(super) fn link_lost(&mut self, now: Moment, node: &NodeId, out: &mut Vec<Output>) {
        if self.goodbye.is_none() && self.roster.get(node.as_str()).is_some_and(|r| r.state.is_present()) {
            self.probe(now, node, false, out);
        }
    }

    /// Our own message to `target` got no answer.
    pub(super) fn direct_failed(&mut self, now: Moment, target: &NodeId, probe: u64, out: &mut Vec<Output>) {
        let Some(probe) = self.probes.get_mut(target, probe) else { return };
        probe.direct = probe.direct.saturating_sub(1);
        let (phase, exhausted) = (probe.phase, probe.is_exhausted());
        match phase {
            Phase::Direct { .. } if exhausted => self.ask_others(now, target, out),
            Phase::Indirect { .. } if exhausted => self.accuse(now, target, out),
            Phase::Direct { .. } | Phase::Indirect { .. } => {}
        }
    }

    /// Somebody whom we asked to try `target` could not reach it, or did not answer.
    pub(super) fn helper_failed(&mut self, now: Moment, target: &NodeId, probe: u64, out: &mut Vec<Output>) {
        let Some(probe) = self.probes.get_mut(target, probe) else { return };
        probe.asked = probe.asked.saturating_sub(1);
        if probe.is_exhausted() {
            self.accuse(now, target, out);
        }
    }

    /// Somebody whom we asked to try `target` has just reached it.
    pub(super) fn vouched_for(&mut self, now: Moment, target: &NodeId) {
        self.probes.end(target);
        if let Some(record) = self.roster.get_mut(target.as_str()).filter(|r| r.state.is_present()) {
            self.touches += 1;
            record.touched = self.touches;
            record.last_seen = Some(now.at);
        }
    }

    /// Probes that have waited long enough take their next step.
    pub(super) fn press_on(&mut self, now: Moment, out: &mut Vec<Output>) {
        for (target, Probe { id, phase, .. }) in self.probes.due(now.at) {
            match phase {
                Phase::Direct { until, .. } if until <= now.at => self.ask_others(now, &target, out),
                Phase::Direct { until, .. } => {
                    if let Some(probe) = self.probes.get_mut(&target, id) {
                        probe.phase = Phase::Direct { again_at: None, until };
                        probe.direct += 1;
                    }
                    let deadline = until.saturating_sub(now.at) + self.health.stretch(self.timing.indirect_timeout);
                    self.ping(now, &target, Purpose::Ping { probe: id }, deadline, out);
                }
                Phase::Indirect { .. } => self.accuse(now, &target, out),
            }
        }
    }

    /// Asks a few others to try `target`, and tries it once more: a link that had died unnoticed is open again by now.
    fn ask_others(&mut self, now: Moment, target: &NodeId, out: &mut Vec<Output>) {
        let helpers = self.roster.some_present(self.timing.indirect_probes, Some(target), &mut self.rng);
        let deadline = self.health.stretch(self.timing.indirect_timeout);
        let Some(probe) = self.probes.any_mut(target) else { return };
        probe.phase = Phase::Indirect { until: now.at + deadline };
        probe.direct += 1;
        probe.asked = helpers.len() as u32;
        let id = probe.id;
        self.ping(now, target, Purpose::Ping { probe: id }, deadline, out);
        for helper in helpers {
            self.ask(now, helper, target, id, out);
        }
    }

    /// Nobody could reach `target`.
    fn accuse(&mut self, now: Moment, target: &NodeId, out: &mut Vec<Output>) {
        self.probes.end(target);
        if now.at < self.judge_from {
            return;
        }
        let own = self.roster.own_id().clone();
        let ask_at = now.at + self.timing.round / 2;
        let Some(record) = self.roster.get_mut(target.as_str()) else { return };
        match (record.state, &mut record.suspicion) {
            (State::Suspect, Some(Suspicion { doubted: true, .. })) => self.bury(now, target, out),
            (State::Suspect, Some(suspicion)) => {
                suspicion.confirmed = true;
                suspicion.ask_at = ask_at;
            }
            (State::Alive, _) => {
                let suspicion = Suspicion { since: now.at, confirmed: true, doubted: false, ask_at };
                self.suspect(now, target, Some(own), suspicion, out);
                self.rumours.add(now.at, target);
                self.rumours.tell(target);
            }
            (State::Suspect | State::Unseen | State::Dead | State::Left, _) => {}
        }
    }

    /// The suspicion of somebody else's suspect: this node waits longer, and then looks for itself.
    pub(super) fn hearsay(&mut self, now: Duration) -> Suspicion {
        let grace = self.timing.round.mul_f64(self.rng.random_range(1.0..2.0));
        let ask_at = now + self.health.stretch(self.timing.suspicion) + grace;
        Suspicion { since: now, confirmed: false, doubted: false, ask_at }
    }

    /// Buries suspects whose time is up, and asks the others again.
    pub(super) fn judge_suspects(&mut self, now: Moment, out: &mut Vec<Output>) {
        if now.at < self.judge_from || self.next_judgement().is_none_or(|at| at > now.at) {
            return;
        }
        let patience = self.health.stretch(self.timing.suspicion);
        for id in self.suspects.clone() {
            let Some(record) = self.roster.get_mut(id.as_str()) else { continue };
            let Some(suspicion) = &mut record.suspicion else { continue };
            if suspicion.confirmed && suspicion.since + patience <= now.at {
                self.bury(now, &id, out);
            } else if suspicion.ask_at <= now.at {
                suspicion.ask_at = now.at + self.timing.round / 2;
                if suspicion.confirmed {
                    let deadline = self.timing.probe_timeout;
                    self.ping(now, &id, Purpose::Ping { probe: 0 }, deadline, out);
                } else if self.probes.len() < MAX_PROBES {
                    self.probe(now, &id, false, out);
                }
            }
        }
    }

    /// When [`Self::judge_suspects`] has something to do.
    pub(super) fn next_judgement(&self) -> Option<Duration> {
        let patience = self.health.stretch(self.timing.suspicion);
        let due = |s: Suspicion| if s.confirmed { s.ask_at.min(s.since + patience) } else { s.ask_at };
        let suspicions = self.suspects.iter().filter_map(|id| self.roster.get(id.as_str())?.suspicion);
        suspicions.map(due).min().map(|at| at.max(self.judge_from))
    }

    fn bury(&mut self, now: Moment, id: &NodeId, out: &mut Vec<Output>) {
        self.become_state(now, id, State::Dead, None, out);
        self.rumours.add(now.at, id);
    }

    /// Compares the clock with the time at which this step was due. A node that was frozen, or that got no CPU, has lost
    /// answers through its own fault: it forgets its accusations and judges nobody for a while.
    pub(super) fn notice_standstill(&mut self, now: Duration, out: &mut Vec<Output>) {
        let Some(lateness) = self.due.and_then(|due| now.checked_sub(due)) else { return };
        self.health.timer_fired(now, lateness, self.timing.standstill);
        if lateness <= self.timing.standstill {
            return;
        }
        out.push(Output::Event(Event::StoodStill { gap: lateness }));
        self.judge_from = now + self.timing.failure_timeout();
        self.probes.end_all();
        for id in self.suspects.clone() {
            let doubted = self.roster.get(id.as_str()).and_then(|r| r.suspicion).is_some_and(|s| s.doubted);
            let suspicion = Suspicion { doubted, ..self.hearsay(now) };
            if let Some(record) = self.roster.get_mut(id.as_str()) {
                record.suspicion = Some(suspicion);
            }
        }
    }

    /// Starts to talk to a node that may be new.
    pub(super) fn meet(&mut self, now: Moment, node: &NodeId, out: &mut Vec<Output>) {
        if self.goodbye.is_some() || node == self.roster.own_id() {
            return;
        }
        let known = self.roster.get(node.as_str()).is_some();
        if !known && self.roster.add(Record::unseen(node.clone(), false, now.at)).is_none() {
            return;
        }
        if !known {
            self.touch();
        }
        let deadline = self.timing.probe_timeout + self.timing.indirect_timeout;
        self.exchange(now, node, 0, deadline, out);
    }
}
