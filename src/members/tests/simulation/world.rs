//! A cluster in virtual time: real machines, an imagined network.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use ringrift_config::NodeId;
use ringrift_members::{Event, Failure, Input, Machine, MembersConfig, Moment, Output, State, Timing};

use crate::node::{Card, Death, Item, Network, Node};

/// An event that a node reported.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "the time is read in the messages of failed assertions")]
pub struct Report {
    pub at: Duration,
    pub by: usize,
    pub event: Event,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Traffic {
    pub messages: u64,
    pub bytes: u64,
    pub longest: usize,
}

/// When, which one of those at the same time, and where in [`World::items`] it says what.
type Due = (Duration, u64, usize);

/// At which node, in which of its runs, what.
type Planned = (usize, u64, Item);

pub struct World {
    pub now: Duration,
    pub network: Network,
    pub nodes: Vec<Node>,
    pub reports: Vec<Report>,
    pub traffic: Traffic,
    pub rng: SmallRng,
    queue: BinaryHeap<Reverse<Due>>,
    /// What is due, apart from when: the queue moves what it holds all the time.
    items: Vec<Option<Planned>>,
    free: Vec<usize>,
    sequence: u64,
    /// Who calls itself so; more than one where a test wants it.
    named: HashMap<NodeId, Vec<usize>>,
    pub timing: Timing,
    /// Nodes start without knowing each other.
    pub hosts_file_names_nobody: bool,
    /// Pairs that cannot reach each other.
    cuts: BTreeSet<(usize, usize)>,
}

impl World {
    /// Nodes that do not run yet.
    pub fn new(size: usize, seed: u64, network: Network) -> Self {
        let nodes: Vec<Node> = (0..size).map(|i| Node::named(&format!("node-{i:03}"))).collect();
        let named = nodes.iter().enumerate().map(|(i, n)| (n.id.clone(), vec![i])).collect();
        Self {
            // Monotonic clocks do not begin at 0.
            now: Duration::from_secs(1000),
            network,
            nodes,
            reports: Vec::new(),
            traffic: Traffic::default(),
            rng: SmallRng::seed_from_u64(seed),
            queue: BinaryHeap::new(),
            items: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            named,
            timing: Timing::default(),
            hosts_file_names_nobody: false,
            cuts: BTreeSet::new(),
        }
    }

    /// A cluster in which everybody sees everybody.
    pub fn formed(size: usize, seed: u64, network: Network) -> Self {
        let mut world = Self::new(size, seed, network);
        for node in 0..size {
            world.start(node);
        }
        let formed = world.wait(Duration::from_mins(1), World::all_see_all);
        assert!(formed.is_some(), "{size} nodes did not find each other, seed {seed}");
        // The first seconds are not like the rest: everybody has seen everybody, but not yet their facts.
        world.run(Duration::from_secs(10));
        world.reports.clear();
        world.traffic = Traffic::default();
        world
    }

    /// Starts a node (again), as a new instance that remembers nothing. Its hosts file names all nodes.
    pub fn start(&mut self, node: usize) {
        let known =
            if self.hosts_file_names_nobody { Vec::new() } else { self.nodes.iter().map(|n| n.id.clone()).collect() };
        let instance = self.rng.random_range(1..u64::MAX);
        let config = MembersConfig { node: self.nodes[node].id.clone(), instance, timing: self.timing };
        let card = Card { value: 0, padding: "x".repeat(500) };
        let rng = SmallRng::seed_from_u64(self.rng.random());
        let mut out = Vec::new();
        let now = self.moment(node);
        let machine = Machine::new(config, card, known, rng, now, &mut out);
        let n = &mut self.nodes[node];
        n.machine = Some(machine);
        n.run += 1;
        n.instance = instance;
        n.calls.clear();
        n.tickets.clear();
        n.frozen_until = Duration::ZERO;
        n.next_wake = Duration::MAX;
        self.carry_out(node, out);
    }

    /// Adds a second program that calls itself like `original`. Messages to the id reach either of them.
    pub fn add_double(&mut self, original: usize) -> usize {
        let (id, double) = (self.nodes[original].id.clone(), self.nodes.len());
        self.nodes.push(Node::named(id.as_str()));
        self.named.get_mut(&id).expect("it has a name").push(double);
        self.start(double);
        double
    }

    pub fn end(&mut self, node: usize, death: Death) {
        let n = &mut self.nodes[node];
        n.machine = None;
        n.run += 1;
        n.refuses = death == Death::Kill;
        if death == Death::Kill {
            for other in (0..self.nodes.len()).filter(|o| *o != node) {
                let at = self.now + self.delay();
                let run = self.nodes[other].run;
                self.push(at, other, run, Item::LinkLost(node));
            }
        }
    }

    /// SIGSTOP, and SIGCONT after `time`: what arrives meanwhile waits.
    pub fn freeze(&mut self, node: usize, time: Duration) {
        self.nodes[node].frozen_until = self.now + time;
    }

    /// Cuts the network: only nodes for which `group` gives the same number reach each other.
    pub fn partition(&mut self, group: impl Fn(usize) -> u32) {
        self.nodes.iter_mut().enumerate().for_each(|(i, n)| n.group = group(i));
    }

    pub fn heal(&mut self) {
        self.partition(|_| 0);
    }

    /// Cuts the wire between two nodes, or mends it.
    pub fn cut(&mut self, one: usize, other: usize, cut: bool) {
        for pair in [(one, other), (other, one)] {
            if cut {
                self.cuts.insert(pair)
            } else {
                self.cuts.remove(&pair)
            };
        }
    }

    fn is_cut(&self, one: usize, other: usize) -> bool {
        self.nodes[one].group != self.nodes[other].group || self.cuts.contains(&(one, other))
    }

    /// Gives `input` to a node.
    pub fn input(&mut self, node: usize, input: Input<Card>) {
        let now = self.moment(node);
        let Some(machine) = self.nodes[node].machine.as_mut() else { return };
        let mut out = Vec::new();
        machine.step(now, input, &mut out);
        self.carry_out(node, out);
    }

    pub fn set_card(&mut self, node: usize, value: u64) {
        self.input(node, Input::Local(Card { value, padding: "x".repeat(500) }));
    }

    /// How `observer` sees `subject`.
    pub fn view(&self, observer: usize, subject: usize) -> Option<State> {
        let machine = self.nodes[observer].machine.as_ref()?;
        machine.member(&self.nodes[subject].id).map(|(state, _)| state)
    }

    pub fn card(&self, observer: usize, subject: usize) -> Option<u64> {
        let machine = self.nodes[observer].machine.as_ref()?;
        machine.member(&self.nodes[subject].id)?.1.map(|card| card.value)
    }

    pub fn instance(&self, node: usize) -> u64 {
        self.nodes[node].instance
    }

    /// The revision of a node's table.
    pub fn revision(&self, node: usize) -> u64 {
        self.nodes[node].machine.as_ref().unwrap().revision()
    }

    /// Calls whose outcome a node still waits for, all of them together.
    pub fn calls_under_way(&self) -> usize {
        self.nodes.iter().map(|node| node.calls.len()).sum()
    }

    /// Whether all running nodes see `subject` in `state`.
    pub fn all_see(&self, subject: usize, state: State) -> bool {
        self.running().filter(|o| *o != subject).all(|o| self.view(o, subject) == Some(state))
    }

    /// Whether all running nodes see all running nodes alive.
    pub fn all_see_all(&self) -> bool {
        self.running().all(|s| self.all_see(s, State::Alive))
    }

    pub fn running(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().enumerate().filter(|(_, n)| n.machine.is_some()).map(|(i, _)| i)
    }

    /// Deaths that were reported of nodes that ran at the end.
    pub fn false_deaths(&self) -> Vec<&Report> {
        let dead = |r: &&Report| match &r.event {
            Event::Changed { node, to: State::Dead, .. } => self.nodes[self.named[node][0]].machine.is_some(),
            _ => false,
        };
        self.reports.iter().filter(dead).collect()
    }

    pub fn changes_to(&self, state: State) -> usize {
        self.reports.iter().filter(|r| matches!(&r.event, Event::Changed { to, .. } if *to == state)).count()
    }

    /// Lets `time` pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.peek().is_some_and(|Reverse(next)| next.0 <= end) {
            self.advance();
        }
        self.now = end;
    }

    /// Lets time pass until `condition` holds, and says how long that took.
    pub fn wait(&mut self, limit: Duration, condition: impl Fn(&World) -> bool) -> Option<Duration> {
        let start = self.now;
        while self.now < start + limit {
            if condition(self) {
                return Some(self.now.saturating_sub(start));
            }
            self.run(Duration::from_millis(20));
        }
        None
    }

    fn advance(&mut self) {
        let Some(Reverse((at, _, place))) = self.queue.pop() else { return };
        let (node, run, item) = self.items[place].take().expect("what is due once");
        self.free.push(place);
        self.now = at;
        let n = &mut self.nodes[node];
        if n.frozen_until > at {
            let thaw = n.frozen_until;
            return self.push(thaw, node, run, item);
        }
        let Item::Request { from, run: asker, call, payload } = item else {
            if n.run != run {
                return;
            }
            return match item {
                Item::Wake => self.wake(node),
                Item::Answer { call, payload } => {
                    if self.nodes[node].calls.remove(&call) {
                        self.input(node, Input::Answer { call, outcome: payload.ok_or(Failure::NoAnswer) });
                    }
                }
                Item::LinkLost(peer) => self.input(node, Input::LinkLost(self.nodes[peer].id.clone())),
                Item::Request { .. } => unreachable!("handled above"),
            };
        };
        if n.machine.is_none() {
            if n.refuses && self.nodes[from].run == asker {
                let at = at + self.delay();
                self.push(at, from, asker, Item::Answer { call, payload: None });
            }
            return;
        }
        n.last_ticket += 1;
        let ticket = n.last_ticket;
        n.tickets.insert(ticket, (from, asker, call));
        self.input(node, Input::Request { ticket, from: self.nodes[from].id.clone(), payload });
    }

    fn wake(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        if n.next_wake > self.now {
            // It was woken by something else before.
            return;
        }
        n.next_wake = Duration::MAX;
        match &n.machine {
            Some(machine) if machine.wake_at() <= self.now => self.input(node, Input::Tick),
            _ => self.schedule(node),
        }
    }

    /// Sees to it that the machine is woken when it wants to be.
    fn schedule(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        let Some(machine) = &n.machine else { return };
        let wake = machine.wake_at().saturating_add(n.slowness);
        if wake < n.next_wake {
            n.next_wake = wake;
            let run = n.run;
            self.push(wake, node, run, Item::Wake);
        }
    }

    fn carry_out(&mut self, node: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { call, to, payload, deadline } => self.send(node, call, &to, &payload, deadline),
                Output::Reply { ticket, answer } => {
                    let Some((to, run, call)) = self.nodes[node].tickets.remove(&ticket) else {
                        panic!("{} answered ticket {ticket} twice", self.nodes[node].id);
                    };
                    self.reply(node, to, run, call, answer.ok());
                }
                Output::Event(event) => self.reports.push(Report { at: self.now, by: node, event }),
                Output::Left => {}
            }
        }
        self.schedule(node);
    }

    fn send(&mut self, from: usize, call: u64, to: &NodeId, payload: &Bytes, deadline: Duration) {
        self.nodes[from].calls.insert(call);
        let run = self.nodes[from].run;
        self.push(self.now + deadline, from, run, Item::Answer { call, payload: None });
        let others = || self.named.get(to).into_iter().flatten().copied().filter(|other| *other != from);
        let Some(to) = others().nth(self.rng.random_range(0..others().count().max(1))) else { return };
        self.count(payload);
        if self.is_cut(from, to) {
            return;
        }
        let copies = 1 + u32::from(self.rng.random_bool(self.network.duplication));
        for _ in 0..copies {
            if !self.rng.random_bool(self.network.loss) {
                let at = self.now + self.delay() + self.nodes[to].slowness;
                self.push(at, to, 0, Item::Request { from, run, call, payload: payload.clone() });
            }
        }
    }

    fn reply(&mut self, from: usize, to: usize, run: u64, call: u64, payload: Option<Bytes>) {
        if let Some(payload) = &payload {
            self.count(payload);
        }
        if !self.is_cut(from, to) && !self.rng.random_bool(self.network.loss) {
            let at = self.now + self.delay() + self.nodes[to].slowness;
            self.push(at, to, run, Item::Answer { call, payload });
        }
    }

    fn count(&mut self, payload: &Bytes) {
        self.traffic.messages += 1;
        self.traffic.bytes += payload.len() as u64;
        self.traffic.longest = self.traffic.longest.max(payload.len());
    }

    fn delay(&mut self) -> Duration {
        let (shortest, longest) = self.network.delay;
        self.rng.random_range(shortest..=longest)
    }

    fn moment(&self, node: usize) -> Moment {
        Moment {
            at: self.now,
            wall_ms: 1_700_000_000_000 + self.now.as_millis() as i64 + self.nodes[node].clock_off_ms,
        }
    }

    fn push(&mut self, at: Duration, node: usize, run: u64, item: Item) {
        self.sequence += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() - 1
        });
        self.items[place] = Some((node, run, item));
        self.queue.push(Reverse((at, self.sequence, place)));
    }
}
