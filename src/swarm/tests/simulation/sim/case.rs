use std::time::Duration;

use ringrift_swarm::{Order, PlannerConfig};

use super::{
    node::{Behaviour, Spec},
    outcome::{Outcome, fluid},
    world::{Action, World, blob},
};

pub const MIB: u64 = 1 << 20;
/// When blobs are promoted: sessions are up by then.
const START: Duration = Duration::from_secs(2);

/// Something that happens, at a share of the fluid limit after the promotion.
#[derive(Debug, Clone, Copy)]
pub struct Happening(pub f64, pub Action);

/// A fan-out from node 0.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: &'static str,
    pub specs: Vec<Spec>,
    /// Bytes of each blob.
    pub sizes: Vec<u64>,
    pub chunk_size: u32,
    pub happenings: Vec<Happening>,
    /// Blobs that are promoted at the start; the others by happenings.
    pub at_once: usize,
    /// Nodes that do not run at the start.
    pub absent: Vec<usize>,
    pub edges: Option<Vec<(usize, usize)>>,
    pub order: Order,
    /// Sessions that break, each second.
    pub breaks: f64,
}

impl Case {
    /// 42 nodes and a seed with 50 Mbit/s, 128 MiB in chunks of 256 KiB.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            specs: vec![Spec::mbit(50.0); 43],
            sizes: vec![128 * MIB],
            chunk_size: 256 << 10,
            happenings: Vec::new(),
            at_once: usize::MAX,
            absent: Vec::new(),
            edges: None,
            order: Order::default(),
            breaks: 0.0,
        }
    }

    pub fn nodes(self, specs: Vec<Spec>) -> Self {
        Self { specs, ..self }
    }

    /// Changes the nodes of these numbers.
    pub fn with(mut self, nodes: &[usize], change: impl Fn(Spec) -> Spec) -> Self {
        for at in nodes {
            self.specs[*at] = change(self.specs[*at]);
        }
        self
    }

    pub fn of(self, sizes: &[u64], chunk_size: u32) -> Self {
        Self { sizes: sizes.to_vec(), chunk_size, ..self }
    }

    pub fn then(mut self, share: f64, action: Action) -> Self {
        self.happenings.push(Happening(share, action));
        self
    }

    pub fn order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    pub fn limit(&self) -> f64 {
        fluid(&self.specs, self.sizes.iter().sum())
    }

    /// The least time for a blob on equal links, over the limit: each chunk must first be sent once, and the number of its copies at
    /// most doubles in the time of one chunk.
    pub fn discrete(&self, blob: usize) -> f64 {
        let chunks = self.sizes[blob].div_ceil(u64::from(self.chunk_size)) as f64;
        (chunks + f64::from((self.specs.len() - 1).ilog2())) / chunks
    }

    /// Runs to the end, when every honest node that runs has everything.
    pub fn run(&self, seed: u64, timed: bool) -> (World, Outcome) {
        let blobs = (1..).zip(&self.sizes).map(|(name, size)| blob(name, *size, self.chunk_size)).collect();
        let config = PlannerConfig { order: self.order, ..PlannerConfig::default() };
        let mut world = World::new(seed, &self.specs, blobs, config, self.edges.as_deref());
        world.timed = timed;
        for at in (0..self.specs.len()).filter(|at| !self.absent.contains(at)) {
            world.act(Action::Start(at));
        }
        world.run_until(START, |_| false);
        let limit = self.limit();
        for Happening(share, action) in &self.happenings {
            world.at(START + Duration::from_secs_f64(share * limit), *action);
        }
        if self.breaks > 0.0 {
            world.break_sessions(START, Duration::from_secs_f64(limit * 3.0), self.breaks);
        }
        for blob in 0..self.sizes.len().min(self.at_once) {
            world.act(Action::Promote(blob));
        }
        let last = self.happenings.iter().map(|happening| happening.0).fold(0.0, f64::max) * limit;
        let settled = START + Duration::from_secs_f64(last);
        let done = world.run_until(Duration::from_secs_f64(limit * 20.0 + 600.0), |world| {
            world.now() > settled && world.complete()
        });
        assert!(done, "{}, seed {seed}: not complete after {:?}", self.name, world.now());
        let outcome = Outcome::of(&world, START, limit);
        (world, outcome)
    }
}

/// The cases that have targets, and some for comparison.
pub fn cases() -> Vec<Case> {
    let nodes: Vec<usize> = (0..43).collect();
    let mixed = [50.0, 100.0, 200.0, 500.0, 1000.0];
    let hidden: Vec<usize> = (1..43).filter(|n| n % 8 > 4).chain([4]).collect();
    vec![
        Case::new("equal, 20 Mbit/s, 32 MB of 64 KiB").nodes(vec![Spec::mbit(20.0); 43]).of(&[32_000_000], 64 << 10),
        Case::new("equal, 50 Mbit/s, 128 MiB"),
        Case::new("equal, 100 Mbit/s, 174 MiB").nodes(vec![Spec::mbit(100.0); 43]).of(&[174 * MIB], 256 << 10),
        Case::new("the same, round trips of 80 ms")
            .nodes(vec![Spec::mbit(100.0).latency(20); 43])
            .of(&[174 * MIB], 256 << 10),
        Case::new("equal, 1 Gbit/s, 1 ms").nodes(vec![Spec::mbit(1000.0).latency(0); 43]).of(&[174 * MIB], 256 << 10),
        Case::new("15 MiB, chunks of 256 KiB").of(&[15 * MIB], 256 << 10),
        Case::new("15 MiB, chunks of 64 KiB").of(&[15 * MIB], 64 << 10),
        Case::new("one node at a quarter").with(&[20], |_| Spec::mbit(12.5)),
        Case::new("one node at a fiftieth").with(&[20], |_| Spec::mbit(1.0)),
        Case::new("seed at a quarter").with(&[0], |_| Spec::mbit(12.5)),
        Case::new("mixed, 50 to 1000 Mbit/s")
            .nodes(nodes.iter().map(|n| Spec::mbit(mixed[(n + 2) % mixed.len()])).collect()),
        Case::new("down 100, up 20 Mbit/s").nodes(vec![Spec::asymmetric(20.0, 100.0); 43]),
        Case::new("16 of 43 dial out only").with(&hidden, Spec::hidden),
        Case::new("a relay dies").then(0.3, Action::Kill(7, Duration::from_secs(3))),
        Case::new("a source dies at 99 %").then(0.99, Action::Kill(7, Duration::from_secs(3))),
        Case { absent: vec![7], ..Case::new("a late join") }.then(0.5, Action::Start(7)),
        Case::new("restart with a partial set")
            .then(0.4, Action::Kill(7, Duration::from_millis(100)))
            .then(0.6, Action::Start(7)),
        Case::new("a liar").with(&[7], |spec| spec.behaviour(Behaviour::Lies)),
        Case::new("five liars").with(&[7, 8, 20, 33, 40], |spec| spec.behaviour(Behaviour::Lies)),
        Case::new("a mute source").with(&[7], |spec| spec.behaviour(Behaviour::Mute)),
        Case { breaks: 2.0, ..Case::new("two sessions break each second") },
    ]
}

/// Twelve models of 15 to 174 MB, as on the clusters: 1.17 GB in 4471 chunks, to so many nodes.
pub fn twelve(nodes: usize) -> Case {
    let sizes = [100, 15, 174, 40, 70, 174, 85, 115, 25, 142, 174, 55].map(|mb| mb * 1_000_000);
    Case::new("twelve models, 1.17 GB").nodes(vec![Spec::mbit(100.0); nodes + 1]).of(&sizes, 256 << 10)
}

/// The same, but the last one is promoted when the others are half way.
pub fn twelfth(nodes: usize) -> Case {
    Case { name: "the last of twelve half way", at_once: 11, ..twelve(nodes) }.then(0.5, Action::Promote(11))
}

/// A thousand nodes.
pub fn thousand() -> Case {
    Case::new("1000 nodes, 50 Mbit/s, 128 MiB").nodes(vec![Spec::mbit(50.0); 1001])
}

/// What everybody would do without a swarm, for comparison.
pub fn star() -> Case {
    Case { edges: Some((1..43).map(|at| (0, at)).collect()), ..Case::new("star") }
}

/// Each hands on to the next one.
pub fn chain() -> Case {
    Case { edges: Some((1..43).map(|at| (at - 1, at)).collect()), ..Case::new("chain") }
}

/// A chain with a slow node in it.
pub fn slow_chain() -> Case {
    Case { name: "chain, one node at a quarter", ..chain().with(&[20], |_| Spec::mbit(12.5)) }
}
