//! What others say of this node.

use std::time::Duration;

use super::{Goodbye, Machine, Output, Purpose};
use crate::{
    Event, Facts, Moment, State,
    rumours::fan_out,
    wire::{MAX_INCARNATION, Row},
};

/// How far above another instance this node goes. What different nodes remember of one earlier run differs by fewer refutations than
/// this, so that one answer is above all of them; only a rival that is alive goes above the answer.
const ABOVE_ANOTHER_RUN: u64 = 1 << 10;
/// An earlier run of this node is seen once with a higher incarnation or, if it ran in a part of the cluster that was cut off, twice.
/// A third time means that it is alive and outbids us as we outbid it.
const SIGHTINGS_OF_A_RIVAL: u32 = 3;
/// From here on the rival is let have the id. One sighting later than the report, so that the rival sees us once more and
/// reports as well.
const SIGHTINGS_TO_GIVE_WAY: u32 = 4;
/// How many other instances of this node are remembered.
const MAX_RIVALS: usize = 8;
/// The pause between two reports of a conflict that lasts.
const REPORT_PAUSE: Duration = Duration::from_mins(1);
/// How long a goodbye waits for those who are told.
const GOODBYE: Duration = Duration::from_secs(1);

/// Other instances that use this node's id.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    rivals: Vec<Rival>,
}

#[derive(Debug)]
struct Rival {
    instance: u64,
    sightings: u32,
    reported_at: Option<Duration>,
}

impl Conflicts {
    /// Another instance was seen alive above us. Returns whether it may be outbid, and whether to report it.
    fn sighted(&mut self, instance: u64, now: Duration) -> (bool, bool) {
        let position = self.rivals.iter().position(|r| r.instance == instance).unwrap_or_else(|| {
            if self.rivals.len() == MAX_RIVALS {
                self.rivals.remove(0);
            }
            self.rivals.push(Rival { instance, sightings: 0, reported_at: None });
            self.rivals.len() - 1
        });
        let rival = &mut self.rivals[position];
        rival.sightings += 1;
        let report =
            rival.sightings >= SIGHTINGS_OF_A_RIVAL && rival.reported_at.is_none_or(|at| now >= at + REPORT_PAUSE);
        if report {
            rival.reported_at = Some(now);
        }
        (rival.sightings < SIGHTINGS_TO_GIVE_WAY, report)
    }

    /// The other instance is dead or has left.
    fn gone(&mut self, instance: u64) {
        self.rivals.retain(|r| r.instance != instance);
    }
}

impl<F: Facts> Machine<F> {
    /// Somebody says `row` of this node.
    pub(super) fn about_me(&mut self, now: Moment, row: &Row<'_>, out: &mut Vec<Output>) {
        let own = self.roster.own();
        if self.goodbye.is_some() || row.key() < own.key() {
            return;
        }
        if row.instance == own.instance {
            if row.key() == own.key() && row.state == State::Alive {
                return;
            }
        } else {
            match row.state {
                State::Dead | State::Left => self.conflicts.gone(row.instance),
                State::Unseen | State::Alive | State::Suspect => {
                    let (outbid, report) = self.conflicts.sighted(row.instance, now.at);
                    if report {
                        out.push(Output::Event(Event::Conflict {
                            node: self.roster.own_id().clone(),
                            other_instance: row.instance,
                        }));
                    }
                    if !outbid {
                        return;
                    }
                }
            }
        }
        if row.state != State::Alive && row.instance == self.roster.own().instance {
            let accuser = row.accuser.and_then(|a| a.parse().ok());
            out.push(Output::Event(Event::Refuted { accuser, state: row.state }));
        }
        let above = if row.instance == self.roster.own().instance { 1 } else { ABOVE_ANOTHER_RUN };
        let touches = self.touch();
        let own = self.roster.own_mut();
        own.incarnation = (row.incarnation + above).min(MAX_INCARNATION);
        own.touched = touches;
        let id = own.id.clone();
        self.rumours.add(now.at, &id);
    }

    /// A visible change; returns the number to mark the record with.
    pub(super) fn touch(&mut self) -> u64 {
        self.revision += 1;
        self.touches += 1;
        self.touches
    }

    /// Tells several members that this node leaves on purpose. From here on it only answers.
    pub(super) fn leave(&mut self, now: Moment, out: &mut Vec<Output>) {
        if let Some(goodbye) = &self.goodbye {
            if goodbye.done {
                out.push(Output::Left);
            }
            return;
        }
        let touches = self.touch();
        let own = self.roster.own_mut();
        own.state = State::Left;
        own.since = now.at;
        own.touched = touches;
        self.probes.end_all();
        self.suspects.clear();
        let payload = self.message(now, |m, roster| m.rows.push(roster.own().news()));
        let amount = fan_out(self.roster.present().count()) + 2;
        let listeners = self.roster.some_present(amount, None, &mut self.rng);
        self.goodbye = Some(Goodbye { unanswered: listeners.len(), until: now.at + GOODBYE, done: false });
        for to in listeners {
            self.send(now, to, Purpose::Goodbye, payload.clone(), GOODBYE, out);
        }
    }

    /// One of those who were told of the goodbye answered, or will not.
    pub(super) fn goodbye_heard(&mut self) {
        if let Some(goodbye) = &mut self.goodbye {
            goodbye.unanswered = goodbye.unanswered.saturating_sub(1);
        }
    }

    /// Whether the goodbye is over; says so once.
    pub(super) fn end_goodbye(&mut self, now: Duration, out: &mut Vec<Output>) {
        if let Some(goodbye) = &mut self.goodbye
            && !goodbye.done
            && (goodbye.unanswered == 0 || goodbye.until <= now)
        {
            goodbye.done = true;
            out.push(Output::Left);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;
    use crate::{
        Input, MembersConfig, Timing,
        wire::{Head, Message},
    };

    /// Each peer remembers another moment of the earlier run, as they do after partitions.
    #[test]
    fn an_earlier_run_that_is_remembered_differently_everywhere_is_no_rival() {
        let moment = |s| Moment { at: Duration::from_secs(s), wall_ms: 0 };
        let config = MembersConfig { node: "own".parse().unwrap(), instance: 2, timing: Timing::default() };
        let mut out = Vec::new();
        let mut machine = Machine::new(config, (), Vec::new(), SmallRng::seed_from_u64(1), moment(1), &mut out);
        let remembered = [5, 9, 14, 20, 27];
        for (ticket, incarnation) in (1..).zip(remembered) {
            let peer = format!("peer-{ticket}");
            let head = Head { node: &peer, instance: 1, incarnation: 1, ..Head::default() };
            let state = State::Alive;
            let row =
                Row { node: "own", instance: 1, incarnation, state, version: 0, beat: 0, accuser: None, facts: None };
            let payload = Message { head, rows: vec![row], ..Message::default() }.encode();
            machine.step(moment(2), Input::Request { ticket, from: peer.parse().unwrap(), payload }, &mut out);
        }
        assert!(!out.iter().any(|output| matches!(output, Output::Event(Event::Conflict { .. }))), "{out:?}");
        assert!(machine.roster.own().incarnation > 27, "it would be taken for the earlier run for ever");
    }
}
