use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, VecDeque},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_config::NodeId;
use ringrift_swarm::{Input, Output, Planner, PlannerConfig, neighbours};

use super::{
    links::{Lane, Load, Message, QUANTUM},
    node::{Behaviour, Node, Spec},
};

/// What a lost session costs until it is dialled again.
const REDIAL: Duration = Duration::from_secs(1);

pub(super) enum Event {
    UpFree(usize),
    /// The last bit of a quantum is at the downlink of `to`.
    Arrive {
        from: usize,
        to: usize,
        epoch: u32,
        load: Load,
        bytes: u32,
        last: bool,
    },
    /// And through it.
    Through {
        from: usize,
        to: usize,
        epoch: u32,
        load: Load,
        bytes: u32,
        last: bool,
    },
    Message {
        from: usize,
        to: usize,
        epoch: u32,
        message: Message,
    },
    Tick(usize),
    Session(usize, usize),
    Do(Action),
}

/// What a case makes happen.
#[derive(Debug, Clone, Copy)]
pub enum Action {
    Start(usize),
    /// It is gone at once; its neighbours notice after the time.
    Kill(usize, Duration),
    Drop(usize, usize),
    /// Everybody wants the blob; the first node has it.
    Promote(usize),
    Forget(usize),
    Lost(usize, usize),
}

struct At(u64, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Nodes, their links, and the chunks between them, in virtual time. Each link carries quanta, one after the other: an uplink takes them
/// from its sessions in turn, a downlink in order of arrival. Time is in nanoseconds.
pub struct World {
    pub nodes: Vec<Node>,
    pub blobs: Vec<Blob>,
    pub promoted: Vec<Option<Duration>>,
    pub config: PlannerConfig,
    pub seed: u64,
    pub(super) now: u64,
    events: BinaryHeap<Reverse<At>>,
    sequence: u64,
    pub(super) out: Vec<Output>,
    /// Whether steps are timed.
    pub timed: bool,
    pub steps: u64,
    pub in_steps: Duration,
    pub requests: u64,
    pub messages: u64,
}

/// A blob of so many bytes. Nobody here looks at the bytes, so the digests are those of numbers.
pub fn blob(name: u64, size: u64, chunk_size: u32) -> Blob {
    let chunks = (0..size.div_ceil(u64::from(chunk_size))).map(|_| Digest::from_bytes([0; 32])).collect();
    Blob { sha256: Digest::of(&name.to_le_bytes()), size, chunk_size, chunks }
}

fn name(at: usize) -> NodeId {
    format!("n{at:04}").parse().unwrap()
}

pub(super) fn place(id: &NodeId) -> usize {
    id.as_str()[1..].parse().unwrap()
}

impl World {
    /// Node 0 has the blobs; `edges` says who has sessions with whom, by default [`neighbours`].
    pub fn new(
        seed: u64,
        specs: &[Spec],
        blobs: Vec<Blob>,
        config: PlannerConfig,
        edges: Option<&[(usize, usize)]>,
    ) -> Self {
        let members: Vec<_> = specs.iter().enumerate().map(|(at, spec)| (name(at), spec.dials_out_only)).collect();
        let mut graph = vec![BTreeSet::new(); specs.len()];
        if let Some(edges) = edges {
            for &(a, b) in edges {
                graph[a].insert(b);
                graph[b].insert(a);
            }
        } else {
            // Rings are the same for everybody: names differ by seed instead, so that each seed is another graph.
            let salted: Vec<_> =
                members.iter().map(|(id, nat)| (format!("{id}-{seed}").parse::<NodeId>().unwrap(), *nat)).collect();
            for (at, (id, _)) in salted.iter().enumerate() {
                graph[at] = neighbours(id, &salted, ringrift_swarm::DEGREE)
                    .iter()
                    .map(|id| id.as_str()[1..5].parse().unwrap())
                    .collect();
            }
        }
        let nodes = members.into_iter().zip(specs).zip(&graph).map(|(((id, _), spec), peers)| {
            let window = |to: &usize| {
                let round_trip = 2.0 * (spec.latency + specs[*to].latency).as_secs_f64();
                2 + (spec.up.min(specs[*to].down) * round_trip / QUANTUM as f64).ceil() as u32
            };
            Node {
                id,
                spec: *spec,
                planner: None,
                started: Duration::ZERO,
                starts: 0,
                disk: blobs.iter().map(ChunkSet::of).collect(),
                lanes: peers.iter().map(|to| Lane::new(*to, window(to))).collect(),
                turns: VecDeque::new(),
                up_busy: false,
                down_free: 0,
                tick_at: u64::MAX,
                sent: 0,
                received: 0,
                wasted: 0,
                bad: 0,
                refused: 0,
                dropped: Vec::new(),
                done: vec![None; blobs.len()],
            }
        });
        let mut world = Self {
            nodes: nodes.collect(),
            promoted: vec![None; blobs.len()],
            blobs,
            config,
            seed,
            now: 0,
            events: BinaryHeap::new(),
            sequence: 0,
            out: Vec::new(),
            timed: false,
            steps: 0,
            in_steps: Duration::ZERO,
            requests: 0,
            messages: 0,
        };
        for set in &mut world.nodes[0].disk {
            *set = ChunkSet::full(set.len());
        }
        world
    }

    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    pub fn at(&mut self, when: Duration, action: Action) {
        self.schedule(when.as_nanos() as u64, Event::Do(action));
    }

    /// Breaks so many sessions a second for a while, which ones is left to the dice.
    pub fn break_sessions(&mut self, from: Duration, lasting: Duration, per_second: f64) {
        let mut rng = SmallRng::seed_from_u64(self.seed);
        for n in 0..(lasting.as_secs_f64() * per_second) as u64 {
            let a = rng.random_range(0..self.nodes.len());
            let lanes = &self.nodes[a].lanes;
            let b = lanes[rng.random_range(0..lanes.len())].to;
            self.at(from + Duration::from_secs_f64(n as f64 / per_second), Action::Drop(a, b));
        }
    }

    pub(super) fn schedule(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(At(at, self.sequence, event)));
    }

    /// Whether everybody who runs and is honest has everything that was promoted.
    pub fn complete(&self) -> bool {
        self.nodes.iter().filter(|node| node.planner.is_some() && node.spec.behaviour == Behaviour::Honest).all(
            |node| self.promoted.iter().zip(&node.disk).all(|(promoted, disk)| promoted.is_none() || disk.is_full()),
        )
    }

    /// Lets time pass until `done`, or up to a limit; whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let limit = limit.as_nanos() as u64;
        for count in 1_u64.. {
            if count.is_multiple_of(256) && done(self) {
                return true;
            }
            if self.events.peek().is_none_or(|Reverse(next)| next.0 > limit) {
                break;
            }
            let Some(Reverse(At(at, _, event))) = self.events.pop() else { break };
            self.now = at;
            self.handle(event);
        }
        if done(self) {
            return true;
        }
        self.now = self.now.max(limit);
        false
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::UpFree(at) => {
                self.nodes[at].up_busy = false;
                self.send(at);
            }
            Event::Arrive { from, to, epoch, load, bytes, last } => {
                let node = &mut self.nodes[to];
                let start = node.down_free.max(self.now);
                node.down_free = start + (f64::from(bytes) / node.spec.down * 1e9) as u64;
                let at = node.down_free;
                self.schedule(at, Event::Through { from, to, epoch, load, bytes, last });
            }
            Event::Through { from, to, epoch, load, bytes, last } => self.through(from, to, epoch, load, bytes, last),
            Event::Message { from, to, epoch, message } => {
                if self.lane(from, to).is_some_and(|lane| lane.up && lane.epoch == epoch) {
                    self.message(from, to, message);
                }
            }
            Event::Tick(at) => {
                if self.nodes[at].tick_at == self.now {
                    self.nodes[at].tick_at = u64::MAX;
                    self.step(at, Input::Tick);
                }
            }
            Event::Session(a, b) => self.connect(a, b),
            Event::Do(action) => self.act(action),
        }
    }

    pub fn act(&mut self, action: Action) {
        match action {
            Action::Start(at) => {
                self.nodes[at].starts += 1;
                if self.nodes[at].starts == 1 {
                    self.nodes[at].started = self.now();
                }
                self.nodes[at].planner =
                    Some(Planner::new(PlannerConfig { seed: self.seed << 16 | at as u64, ..self.config.clone() }));
                for blob in 0..self.blobs.len() {
                    self.want(at, blob);
                }
                for to in self.nodes[at].lanes.iter().map(|lane| lane.to).collect::<Vec<_>>() {
                    let delay = self.delay(at, to) * 2;
                    self.schedule(self.now + delay, Event::Session(at, to));
                }
            }
            Action::Kill(at, notice) => {
                self.nodes[at].planner = None;
                for to in self.nodes[at].lanes.iter().map(|lane| lane.to).collect::<Vec<_>>() {
                    self.schedule(self.now + notice.as_nanos() as u64, Event::Do(Action::Lost(at, to)));
                }
            }
            Action::Lost(a, b) | Action::Drop(a, b) => self.disconnect(a, b),
            Action::Promote(blob) => {
                self.promoted[blob] = Some(self.now());
                for at in 0..self.nodes.len() {
                    self.want(at, blob);
                }
            }
            Action::Forget(blob) => {
                self.promoted[blob] = None;
                for at in 0..self.nodes.len() {
                    self.step(at, Input::Forget { sha256: self.blobs[blob].sha256 });
                }
            }
        }
    }

    fn want(&mut self, at: usize, blob: usize) {
        if self.promoted[blob].is_none() || self.nodes[at].planner.is_none() {
            return;
        }
        let copy = self.blobs[blob].clone();
        let have = self.nodes[at].disk[blob].clone();
        if have.is_full() {
            self.step(at, Input::Hold { blob: &copy });
        } else {
            self.step(at, Input::Want { blob: &copy, have });
        }
        for to in self.nodes[at].lanes.iter().filter(|lane| lane.up).map(|lane| lane.to).collect::<Vec<_>>() {
            self.tell_has(at, to, blob);
        }
    }

    fn tell_has(&mut self, at: usize, to: usize, blob: usize) {
        let sha256 = self.blobs[blob].sha256;
        if let Some(have) = self.nodes[at].planner.as_ref().and_then(|planner| planner.have(&sha256)).cloned() {
            self.tell(at, to, Message::Has(blob as u16, Box::new(have)));
        }
    }

    fn connect(&mut self, a: usize, b: usize) {
        if self.nodes[a].planner.is_none()
            || self.nodes[b].planner.is_none()
            || self.lane(a, b).is_none_or(|lane| lane.up)
        {
            return;
        }
        for (at, to) in [(a, b), (b, a)] {
            self.lane(at, to).unwrap().reset(true);
        }
        for (at, to) in [(a, b), (b, a)] {
            let peer = self.nodes[to].id.clone();
            self.step(at, Input::PeerUp { peer });
            for blob in 0..self.blobs.len() {
                self.tell_has(at, to, blob);
            }
        }
    }

    pub(super) fn disconnect(&mut self, a: usize, b: usize) {
        if self.lane(a, b).is_none_or(|lane| !lane.up) {
            return;
        }
        for (at, to) in [(a, b), (b, a)] {
            self.lane(at, to).unwrap().reset(false);
        }
        for (at, to) in [(a, b), (b, a)] {
            let peer = self.nodes[to].id.clone();
            self.step(at, Input::PeerDown { peer });
        }
        self.schedule(self.now + REDIAL.as_nanos() as u64, Event::Session(a, b));
    }

    pub(super) fn lane(&mut self, from: usize, to: usize) -> Option<&mut Lane> {
        self.nodes[from].lanes.iter_mut().find(|lane| lane.to == to)
    }

    pub(super) fn delay(&self, a: usize, b: usize) -> u64 {
        (self.nodes[a].spec.latency + self.nodes[b].spec.latency).as_nanos() as u64
    }
}
