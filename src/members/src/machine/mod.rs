//! The decisions: a state machine without clock, socket or randomness of its own.

mod judge;
mod learn;
mod own;
mod rounds;
mod talk;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt, rngs::SmallRng};
use ringrift_config::NodeId;

use crate::{
    Event, Facts, MembersConfig, Moment, State, Timing, complaints::Complaints, local_health::LocalHealth,
    probe::Probes, record::Record, roster::Roster, rumours::Rumours, wire::MAX_FACTS,
};

/// What can happen to a member.
#[derive(Debug)]
pub enum Input<F> {
    /// Time has passed; [`Machine::wake_at`] says when it is wanted.
    Tick,
    /// Another node asks. It is answered by an [`Output::Reply`] with this ticket, perhaps later.
    Request {
        /// Chosen by the caller.
        ticket: u64,
        /// Who asks, by the word of the link.
        from: NodeId,
        /// The request.
        payload: Bytes,
    },
    /// The outcome of an [`Output::Send`]; there must be exactly one for each.
    Answer {
        /// The number of the call.
        call: u64,
        /// The answer.
        outcome: Result<Bytes, Failure>,
    },
    /// This node tells something else of itself.
    Local(F),
    /// The hosts file names these nodes.
    Known(Vec<NodeId>),
    /// A node was found; talk to it.
    Meet(NodeId),
    /// A link broke.
    LinkLost(NodeId),
    /// Say goodbye.
    Leave,
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The other node refused, is not there, or did not answer in time.
    NoAnswer,
    /// The call was never made, for a reason on this side: it proves nothing.
    NotMade,
}

/// What must be done.
#[derive(Debug)]
pub enum Output {
    /// Send `payload` to `to` and give back what it answers within `deadline`.
    Send {
        /// Number of the call.
        call: u64,
        /// To whom.
        to: NodeId,
        /// What.
        payload: Bytes,
        /// How long to wait.
        deadline: Duration,
    },
    /// Answer a request.
    Reply {
        /// The request's ticket.
        ticket: u64,
        /// The answer, or what was wrong with the request.
        answer: Result<Bytes, String>,
    },
    /// Tell whoever wants to know.
    Event(Event),
    /// The goodbye was heard, or nobody is there to hear it.
    Left,
}

/// One node's view of who is alive.
#[derive(Debug)]
pub struct Machine<F> {
    timing: Timing,
    rng: SmallRng,
    roster: Roster<F>,
    /// Raised by every visible change.
    revision: u64,
    /// Raised by those, and when somebody was seen again.
    touches: u64,
    calls: BTreeMap<u64, Call>,
    last_call: u64,
    probes: Probes,
    suspects: BTreeSet<NodeId>,
    rumours: Rumours,
    health: LocalHealth,
    /// Before this nobody is judged: this node has just stood still.
    judge_from: Duration,
    /// When the last step wanted to be woken.
    due: Option<Duration>,
    ping_at: Duration,
    /// How far the current turn of pings is around the watched nodes.
    ping_turn: usize,
    round_at: Duration,
    /// Whom this turn of exchanges has still to visit.
    visits: Vec<NodeId>,
    sweep_at: Duration,
    /// This host's wall clock minus the monotonic one, in milliseconds.
    clock_lead: i64,
    goodbye: Option<Goodbye>,
    conflicts: own::Conflicts,
    complaints: Complaints,
}

/// A request of ours that is under way.
#[derive(Debug)]
struct Call {
    to: NodeId,
    sent: Moment,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    /// Is it there? For the probe with this id; 0 for none.
    Ping { probe: u64 },
    /// The same, and a comparison of what both know.
    Exchange { probe: u64 },
    /// `to` was asked to try `target`.
    Ask { target: NodeId, probe: u64 },
    /// `to` is tried for somebody else who waits with this ticket.
    Favour { ticket: u64 },
    /// News, with what is needed to send them to somebody else if they do not arrive.
    News { payload: Bytes, retries: u8 },
    /// Facts that `to` asked for.
    Push,
    /// We are leaving.
    Goodbye,
}

#[derive(Debug)]
struct Goodbye {
    unanswered: usize,
    until: Duration,
    done: bool,
}

impl<F: Facts> Machine<F> {
    /// A node that starts now. Facts that cannot be encoded, or not in 64 KiB, are not told (see [`Event::BadFacts`]).
    pub fn new(
        config: MembersConfig,
        facts: F,
        known: Vec<NodeId>,
        rng: SmallRng,
        now: Moment,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut own = Record::unseen(config.node, true, now.at);
        own.instance = config.instance.max(1);
        own.incarnation = 1;
        own.state = State::Alive;
        own.last_seen = Some(now.at);
        let mut machine = Self {
            timing: config.timing,
            rng,
            roster: Roster::new(own),
            revision: 1,
            touches: 1,
            calls: BTreeMap::new(),
            last_call: 0,
            probes: Probes::default(),
            suspects: BTreeSet::new(),
            rumours: Rumours::default(),
            health: LocalHealth::default(),
            judge_from: Duration::ZERO,
            due: None,
            ping_at: now.at,
            ping_turn: 0,
            round_at: now.at,
            visits: Vec::new(),
            sweep_at: now.at,
            clock_lead: now.wall_ms.saturating_sub(now.at.as_millis() as i64),
            goodbye: None,
            conflicts: own::Conflicts::default(),
            complaints: Complaints::default(),
        };
        machine.tell_facts(now.at, facts, out);
        machine.roster.set_known(known.into_iter().collect(), now.at);
        // Nodes that start together must not knock together.
        machine.round_at = now.at + machine.jittered(machine.timing.round / 8);
        machine.ping_at = now.at + machine.jittered(machine.timing.round / 2);
        machine
    }

    /// Takes in what happened at `now` and appends to `out` what must be done. `now` must not go backwards.
    pub fn step(&mut self, now: Moment, input: Input<F>, out: &mut Vec<Output>) {
        self.notice_standstill(now.at, out);
        self.notice_clock_set(now);
        match input {
            Input::Tick => {}
            Input::Request { ticket, from, payload } => self.serve(now, ticket, &from, &payload, out),
            Input::Answer { call, outcome } => self.answered(now, call, outcome, out),
            Input::Local(facts) => self.tell_facts(now.at, facts, out),
            Input::Known(known) => {
                if self.roster.set_known(known.into_iter().collect(), now.at) {
                    self.revision += 1;
                    self.touch_all();
                }
            }
            Input::Meet(node) => self.meet(now, &node, out),
            Input::LinkLost(node) => self.link_lost(now, &node, out),
            Input::Leave => self.leave(now, out),
        }
        self.keep_time(now, out);
        self.due = Some(self.wake_at());
    }

    /// When the machine wants the next [`Input::Tick`] at the latest.
    pub fn wake_at(&self) -> Duration {
        if let Some(goodbye) = &self.goodbye {
            let until = if goodbye.done { Duration::MAX } else { goodbye.until };
            return self.rumours.send_at().map_or(until, |at| at.min(until));
        }
        let wakes = [self.rumours.send_at(), self.probes.next_due(), self.next_judgement()];
        wakes.into_iter().flatten().chain([self.ping_at, self.round_at]).min().expect("two of them are always there")
    }

    /// Grows with every visible change: a state, facts, a member more or less.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Grows with every visible change and whenever somebody was seen again.
    pub fn touches(&self) -> u64 {
        self.touches
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record<F>> {
        self.roster.iter()
    }

    /// This node.
    pub fn own_id(&self) -> &NodeId {
        self.roster.own_id()
    }

    /// What this node holds of `node`: its state and facts.
    pub fn member(&self, node: &NodeId) -> Option<(State, Option<&Arc<F>>)> {
        self.roster.get(node.as_str()).map(|r| (r.state, r.facts.as_ref()))
    }

    fn tell_facts(&mut self, now: Duration, facts: F, out: &mut Vec<Output>) {
        if self.roster.own().facts.as_deref() == Some(&facts) {
            return;
        }
        let raw = match rmp_serde::to_vec_named(&facts) {
            Ok(raw) if raw.len() <= MAX_FACTS => raw,
            refused => {
                let error = refused.map_or_else(
                    |e| format!("its facts cannot be encoded: {e}"),
                    |raw| format!("its facts have {} bytes, more than {MAX_FACTS}", raw.len()),
                );
                out.push(Output::Event(Event::BadFacts { node: self.roster.own_id().clone(), error }));
                return;
            }
        };
        self.revision += 1;
        self.touches += 1;
        let touches = self.touches;
        let own = self.roster.own_mut();
        own.version += 1;
        own.facts = Some(Arc::new(facts));
        own.raw = raw.into();
        own.facts_at = Some(now);
        own.touched = touches;
    }

    /// `time`, give or take a tenth.
    fn jittered(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.rng.random_range(0.9..1.1))
    }

    fn touch_all(&mut self) {
        self.touches += 1;
        let touches = self.touches;
        self.roster.iter_mut().for_each(|r| r.touched = touches);
    }
}
