//! A life of a cluster at random: everything that follows from a seed, and nothing else.

mod end;
mod event;
mod jobs;
mod lines;
mod members;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use ringrift_config::NodeId;
use ringrift_job::RunId;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use self::event::{ALWAYS, Event, WITH_JOBS, WITH_MEMBERS, WITH_WORKERS};
use super::{
    cluster::{Cluster, command, id},
    jobs::Plant,
    places::Places,
    runtime,
    witness::Witness,
    worker::Worker,
};
use crate::Role;

const NAMES: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];

/// How much happens in one life.
const EVENTS: usize = 80;

/// So much of the log is in memory at most, in bytes: twice what is kept of these short commands.
const LOG_BYTES: usize = 256 << 10;

/// What may happen besides what always does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Also {
    /// A voter loses its disk: one at a time, as the others cannot vouch for it otherwise.
    pub(crate) wiped: bool,
    /// The voters are changed, now and then just before the leader dies.
    pub(crate) changed: bool,
    /// So many nodes do not vote.
    pub(crate) workers: usize,
    /// All nodes watch each other, have addresses, and move.
    pub(crate) members: bool,
    /// Workers are given jobs. They have to be members.
    pub(crate) jobs: bool,
}

pub(crate) struct Life {
    rng: StdRng,
    cluster: Cluster,
    names: Vec<&'static str>,
    genesis: String,
    witness: Witness,
    workers: Vec<Worker>,
    down: BTreeSet<&'static str>,
    full: BTreeSet<&'static str>,
    proposed: u64,
    /// How many jobs were asked for.
    submitted: u64,
    /// Since when a worker knows that a run is not its own any more.
    unwanted: BTreeMap<(String, RunId), Instant>,
    also: Also,
    /// Changes of the voters, transfers and writes that are under way.
    tasks: JoinSet<()>,
    began: Instant,
    /// What happened, for whoever looks for the cause.
    told: Vec<String>,
}

/// What came of a life.
#[derive(Debug, PartialEq)]
pub(crate) struct Story {
    pub(crate) told: Vec<String>,
    /// How many writes were confirmed.
    pub(crate) confirmed: usize,
    /// How many jobs were confirmed, and how many attempts they took.
    pub(crate) jobs: (usize, usize),
    /// From the last fault until somebody led and wrote.
    pub(crate) recovered: Duration,
    /// From the last fault until each worker held that write.
    pub(crate) caught_up: Duration,
    /// From the last fault until everybody saw everybody alive.
    pub(crate) alive: Duration,
    /// What the workers followed, each change of it.
    pub(crate) followed: Vec<String>,
    /// All of it, in simulated time.
    pub(crate) lasted: Duration,
}

/// How long it took after the last fault, each from then on: see [`Story`].
struct Recovered {
    written: Duration,
    caught_up: Duration,
    alive: Duration,
}

/// Lives the life of a seed; what must never be, and what happened before, is the error.
pub(crate) fn live(seed: u64, voters: usize, also: Also) -> Result<Story, String> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime::seed(seed);
    tokio.block_on(async {
        ringrift_tick::begin_here();
        let mut life = Life::begin(seed, voters, also).await;
        let lived = life.live().await;
        let told = std::mem::take(&mut life.told);
        match lived {
            Ok(Recovered { written, caught_up, alive }) => Ok(Story {
                told,
                confirmed: life.witness.confirmations(),
                jobs: (life.witness.jobs().len(), life.witness.attempts()),
                recovered: written,
                caught_up,
                alive,
                followed: life.witness.followed()?,
                lasted: life.began.elapsed(),
            }),
            Err(what) => {
                // Who repeats a life wants to know all of it.
                let most = if std::env::var_os("SIMULATION_SEED").is_some() { told.len() } else { 25 };
                Err(format!("{what}. Before that:\n  {}", told[told.len().saturating_sub(most)..].join("\n  ")))
            }
        }
    })
}

impl Life {
    async fn begin(seed: u64, voters: usize, also: Also) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut cluster = Cluster::seeded(seed);
        cluster.tuning.snapshot_after = 40;
        cluster.tuning.keep = 10;
        cluster.simulated_disks = Some(Duration::from_millis(*[0, 5, 40].choose(&mut rng).unwrap()));
        cluster.hubs = also.workers > 0;
        let names = NAMES[..voters].to_vec();
        let workers: Vec<_> = (0..also.workers).map(|n| format!("w{n:02}")).collect();
        cluster.jobs = also.jobs.then(|| Arc::new(Plant::of(workers.iter().map(|name| id(name)).collect())));
        if also.members {
            cluster.gossip = Some(StdRng::seed_from_u64(rng.random()));
            let everybody = names.iter().copied().chain(workers.iter().map(String::as_str));
            cluster.net.places(|places| *places = Places::of(everybody.map(id)));
        }
        let mut worker = |name: String| {
            let clock = also.members.then(|| cluster.clocks.entry(id(&name)).or_default().clone());
            Worker::new(name, rng.random(), clock)
        };
        let workers = workers.into_iter().map(&mut worker).collect();
        let mut life = Self {
            rng,
            cluster,
            genesis: names.join(" "),
            names,
            witness: Witness::default(),
            workers,
            down: BTreeSet::new(),
            full: BTreeSet::new(),
            proposed: 0,
            submitted: 0,
            unwanted: BTreeMap::new(),
            also,
            tasks: JoinSet::new(),
            began: Instant::now(),
            told: Vec::new(),
        };
        for name in life.names.clone() {
            life.start(name).await.unwrap();
        }
        for worker in 0..also.workers {
            life.start_worker(worker).unwrap();
        }
        life
    }

    async fn live(&mut self) -> Result<Recovered, String> {
        for _ in 0..EVENTS {
            let event = self.choose();
            self.happens(event).await?;
            sleep(Duration::from_millis(self.rng.random_range(0..3000))).await;
            self.supervised().await?;
            self.holds()?;
        }
        self.ends_well().await
    }

    fn choose(&mut self) -> Event {
        let mut events = ALWAYS.to_vec();
        events.extend(self.also.wiped.then_some((Event::Wiped, 4)));
        events.extend(self.also.changed.then_some((Event::VotersChanged, 8)));
        events.extend(WITH_WORKERS.iter().filter(|_| self.also.workers > 0));
        events.extend(WITH_JOBS.iter().filter(|_| self.also.jobs));
        events.extend(WITH_MEMBERS.iter().filter(|_| self.also.members));
        events.choose_weighted(&mut self.rng, |(_, weight)| *weight).unwrap().0
    }

    fn tell(&mut self, what: impl Into<String>) {
        self.told.push(format!("{:>7} ms: {}", self.began.elapsed().as_millis(), what.into()));
    }

    fn any(&mut self) -> &'static str {
        self.names.choose(&mut self.rng).unwrap()
    }

    fn any_up(&mut self) -> Option<&'static str> {
        let up: Vec<_> = self.names.iter().filter(|name| !self.down.contains(**name)).copied().collect();
        up.choose(&mut self.rng).copied()
    }

    fn leader(&self) -> Option<String> {
        self.cluster.names().into_iter().find(|name| self.cluster.status(name).role == Role::Leader)
    }

    /// Starts a voter. On a disk without room it may not start; on any other it does.
    async fn start(&mut self, name: &'static str) -> Result<(), String> {
        match self.cluster.start(name, &self.genesis).await {
            Ok(()) => {
                self.down.remove(name);
                self.witness.watch(&self.cluster, name);
                self.watch_member(&id(name));
                Ok(())
            }
            Err(_) if self.full.contains(name) => {
                self.down.insert(name);
                Ok(())
            }
            Err(error) => Err(format!("{name} does not start: {error}")),
        }
    }

    /// Ends a voter. Without power its disk keeps any part of what was not synced.
    async fn end(&mut self, name: &'static str, power: bool) {
        if !power {
            self.cluster.falls_silent(name);
        }
        self.cluster.crash(name).await;
        let disk = self.cluster.platter(name);
        if power {
            disk.left();
        } else {
            disk.lost_power(&mut self.rng);
        }
        self.down.insert(name);
    }

    async fn happens(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Power => {
                let name = self.any();
                if self.down.contains(name) {
                    self.tell(format!("{name} starts"));
                    return self.start(name).await;
                }
                self.tell(format!("{name} has no power"));
                self.end(name, false).await;
            }
            Event::Repaired => {
                self.tell("every node has power and room again");
                for name in std::mem::take(&mut self.full) {
                    self.cluster.platter(name).set_full(false);
                }
                for name in std::mem::take(&mut self.down) {
                    self.start(name).await?;
                }
            }
            Event::Killed => {
                let Some(name) = self.any_up() else { return Ok(()) };
                self.tell(format!("{name} is killed"));
                self.end(name, true).await;
                return self.start(name).await;
            }
            Event::PowerInACommit => {
                let Some(name) = self.any_up() else { return Ok(()) };
                let operations = self.rng.random_range(0..40);
                self.tell(format!("{name} will have no power after {operations} operations of its disk"));
                self.cluster.platter(name).dies_after(operations);
            }
            Event::Full => {
                let name = self.any();
                let full = self.full.insert(name);
                if !full {
                    self.full.remove(name);
                }
                self.tell(format!("the disk of {name} {}", if full { "is full" } else { "has room" }));
                self.cluster.platter(name).set_full(full);
            }
            Event::Frozen => {
                let Some(name) = self.any_up() else { return Ok(()) };
                let time = Duration::from_millis(self.rng.random_range(100..8000));
                self.tell(format!("{name} stands still for {time:?}"));
                let process = self.cluster.process(name);
                process.freeze();
                tokio::spawn(async move {
                    sleep(time).await;
                    process.go_on();
                });
            }
            Event::Restarted => {
                let Some(name) = self.any_up() else { return Ok(()) };
                self.tell(format!("{name} restarts"));
                self.cluster.process(name).go_on();
                self.cluster.stop(name).await;
                self.cluster.platter(name).left();
                return self.start(name).await;
            }
            Event::Transferred => {
                let (Some(leader), to) = (self.leader(), self.any()) else { return Ok(()) };
                self.tell(format!("{leader} is to hand over to {to}"));
                let node = self.cluster.node(&leader);
                self.tasks.spawn(async move { drop(node.transfer(Some(id(to))).await) });
            }
            Event::CutPair
            | Event::CutOff
            | Event::CutOneWay
            | Event::Halves
            | Event::Bridge
            | Event::LeaderHeld
            | Event::Healed
            | Event::Lossy
            | Event::Slow
            | Event::Doubled => self.happens_to_lines(event),
            Event::Written => self.write(),
            Event::Wiped => return self.wipe().await,
            Event::VotersChanged => self.change_voters().await,
            Event::WorkerPower
            | Event::WorkerKilled
            | Event::WorkerRestarted
            | Event::WorkerFrozen
            | Event::WorkersCut => return self.happens_to_workers(event).await,
            Event::Moved => return self.moves().await,
            Event::HostsFile => self.hosts_file_is_corrected(),
            Event::ClockJumps => self.clock_jumps(),
            Event::JobsAsked => self.submit(),
            Event::Drained => self.drain(),
        }
        Ok(())
    }

    /// So many different voters.
    fn some(&mut self, count: usize) -> Vec<&'static str> {
        let mut mixed = Vec::new();
        let mut left = self.names.clone();
        while mixed.len() < count && !left.is_empty() {
            mixed.push(left.swap_remove(self.rng.random_range(0..left.len())));
        }
        mixed
    }

    /// A few writes at the same time, to whoever leads.
    fn write(&mut self) {
        let Some(leader) = self.leader() else { return };
        for _ in 0..self.rng.random_range(1..6) {
            self.proposed += 1;
            let (n, node, witness) = (self.proposed, self.cluster.node(&leader), self.witness.clone());
            self.tasks.spawn(async move {
                if let Ok(done) = node.propose(command(n)).await {
                    witness.confirmed(n, &done);
                }
            });
        }
        self.tell(format!("writes to {leader} up to {}", self.proposed));
    }

    async fn wipe(&mut self) -> Result<(), String> {
        let whole = self.down.is_empty() && self.names.iter().all(|n| self.cluster.status(n).waiting.is_none());
        let name = self.any();
        // Before the cluster has a name a voter cannot know that it forgot anything: see `formation`.
        if whole && !self.cluster.node(name).agreed().cluster_id.is_empty() {
            self.tell(format!("{name} loses its disk"));
            self.end(name, true).await;
            self.cluster.platter(name).wipe();
            self.witness.wiped(name);
            self.full.remove(name);
            return self.start(name).await;
        }
        Ok(())
    }

    async fn change_voters(&mut self) {
        let Some(leader) = self.leader() else { return };
        let count = self.rng.random_range(3..=self.names.len());
        let target: BTreeSet<NodeId> = self.some(count).into_iter().map(id).collect();
        self.tell(format!("{leader} is to change the voters to {target:?}"));
        let node = self.cluster.node(&leader);
        // It may fail, and mostly does in such a life.
        self.tasks.spawn(async move { drop(node.change_voters(target).await) });
        if self.rng.random() {
            // At any moment of the change.
            sleep(Duration::from_millis(self.rng.random_range(0..4000))).await;
            let name = self.names.iter().find(|name| **name == leader).copied();
            if let Some(name) = name.filter(|name| !self.down.contains(*name)) {
                self.tell(format!("{name}, which changes the voters, has no power"));
                self.end(name, false).await;
            }
        }
    }

    /// Starts again what stopped by itself.
    async fn supervised(&mut self) -> Result<(), String> {
        for name in self.names.clone() {
            if !self.down.contains(name) && self.cluster.status(name).stopped.is_some() {
                self.tell(format!("{name} stopped, and starts again"));
                self.end(name, false).await;
                self.start(name).await?;
            }
        }
        Ok(())
    }

    /// What holds at every step.
    fn holds(&mut self) -> Result<(), String> {
        if let Some(broken) = self.witness.broken() {
            return Err(broken);
        }
        self.jobs_hold()?;
        self.tables_are_bounded()?;
        for name in self.cluster.names() {
            let voter = self.cluster.net.voter(&id(&name)).expect("it runs");
            // One stream each, and what was left behind and has not ended yet.
            let watchers = voter.hub.map_or(0, |hub| hub.watchers());
            if watchers > 3 * self.workers.len() {
                return Err(format!("{name} serves {watchers} streams to {} workers", self.workers.len()));
            }
            let bytes = self.cluster.node(&name).inner.service.store.mirror().bytes();
            if bytes > LOG_BYTES {
                return Err(format!("the log of {name} has {bytes} bytes"));
            }
        }
        Ok(())
    }
}
