//! Workers: real followers of the voters' hubs, over simulated lines, each with its copy of the state on a disk of its own.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use ringrift_config::NodeId;
use ringrift_members::State;
use ringrift_watch::{BoxedStream, Dialer, Follower, FollowerConfig, StartError};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    cluster::{id, memory, set},
    gossip::{self, Clock},
    jobs::Machine,
    line::{Line, Up},
    net::Net,
    runtime::Process,
};

/// How long an orderly stop may take.
const STOPS: Duration = Duration::from_secs(10);

/// Asks the voters that the worker knows of, as the daemon does: in any order, those that gave no good answer lately last.
struct Phone {
    net: Arc<Net>,
    node: NodeId,
    /// The voters that the hosts file names.
    named: Vec<NodeId>,
    up: Up,
    dice: Mutex<StdRng>,
    follower: OnceLock<Follower>,
}

impl Phone {
    fn candidates(&self, avoid: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let mut voters: Vec<NodeId> = self
            .follower
            .get()
            .map(|follower| follower.status().borrow().voters.iter().cloned().collect())
            .unwrap_or_default();
        for voter in &self.named {
            if !voters.contains(voter) {
                voters.push(voter.clone());
            }
        }
        voters.retain(|voter| *voter != self.node);
        voters.shuffle(&mut *self.dice.lock().unwrap());
        let table = self.net.member(&self.node).map(|member| member.members.table());
        let alive = |voter: &NodeId| {
            table.as_ref().is_none_or(|table| table.get(voter).is_some_and(|member| member.state == State::Alive))
        };
        voters.sort_by_key(|voter| (avoid.contains(voter), !alive(voter)));
        voters
    }

    async fn connect(&self, to: &NodeId) -> Result<BoxedStream, String> {
        let dice = self.dice.lock().unwrap().random();
        let line = Line { net: self.net.clone(), from: self.node.clone(), to: to.clone(), dice };
        let serve = |stream| {
            let voter = self.net.voter(to).ok_or_else(|| format!("{to} refuses the connection"))?;
            let serves = voter.consensus.status().borrow().voters.contains(to);
            let hub = voter.hub.filter(|_| serves).ok_or_else(|| format!("{to} does not vote"))?;
            let node = self.node.clone();
            let serving = async move { drop(hub.serve(&node, stream).await) };
            Ok((voter.process.run(serving), voter.up))
        };
        line.open(self.up.clone(), serve).await
    }
}

#[async_trait]
impl Dialer for Phone {
    async fn open(&self, avoid: &BTreeSet<NodeId>) -> Result<(NodeId, BoxedStream), String> {
        let mut trouble = "the hosts file names no voter".to_owned();
        for voter in self.candidates(avoid) {
            match self.connect(&voter).await {
                Ok(stream) => return Ok((voter, stream)),
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }
}

/// A worker that runs.
pub(crate) struct Running {
    pub(crate) follower: Follower,
    pub(crate) process: Process,
    up: Up,
    stop: CancellationToken,
    work: JoinHandle<()>,
}

/// A worker and its disk.
pub(crate) struct Worker {
    pub(crate) name: String,
    dir: TempDir,
    dice: StdRng,
    /// What runs there.
    pub(crate) machine: Machine,
    /// How far its wall clock is off; it is no member without one.
    pub(crate) clock: Option<Clock>,
    pub(crate) running: Option<Running>,
}

/// What became of a worker's copy of the state when it had no power.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CopyOnDisk {
    /// All that was written is there.
    Whole,
    /// So is what a write that was under way left beside it.
    WithARest,
    /// One of its bytes is another.
    Damaged,
    Lost,
}

impl Worker {
    pub(crate) fn new(name: String, seed: u64, clock: Option<Clock>) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let machine = Machine::new(dice.random());
        Self { name, dir: memory(), dice, machine, clock, running: None }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("agreed.cache")
    }

    /// Starts on what its disk has. An operator removes a copy that is damaged, as the error says.
    pub(crate) fn start(&mut self, net: &Arc<Net>, voters: &str) -> Result<&Running, String> {
        let config = FollowerConfig::new(id(&self.name), self.path());
        let (up, stop) = (Up::default(), CancellationToken::new());
        let phone = Arc::new(Phone {
            net: net.clone(),
            node: id(&self.name),
            named: set(voters).into_iter().collect(),
            up: up.clone(),
            dice: Mutex::new(StdRng::seed_from_u64(self.dice.random())),
            follower: OnceLock::new(),
        });
        let seed = self.dice.random();
        let rng = || StdRng::seed_from_u64(seed);
        let prepared = match Follower::prepare(config.clone(), phone.clone(), rng(), stop.clone()) {
            Err(StartError::Damaged { path, .. }) => {
                fs::remove_file(path).unwrap();
                Follower::prepare(config, phone.clone(), rng(), stop.clone())
            }
            other => other,
        };
        let (follower, work) = prepared.map_err(|error| format!("{} does not start: {error}", self.name))?;
        let _ = phone.follower.set(follower.clone());
        let process = Process::default();
        let work = tokio::spawn(process.clone().run(work));
        if let Some(clock) = &self.clock {
            let node = id(&self.name);
            net.joined(&node, gossip::start(net, &node, &process, &mut self.dice, clock.clone()));
        }
        Ok(self.running.insert(Running { follower, process, up, stop, work }))
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self, net: &Net) {
        net.ended(&id(&self.name), true);
        self.end(Up::end).await;
    }

    /// Ends it with its machine.
    pub(crate) async fn lose_power(&mut self, net: &Net, copy: CopyOnDisk) {
        net.ended(&id(&self.name), false);
        self.end(Up::end_without_power).await;
        self.machine.lose_power();
        let path = self.path();
        match copy {
            CopyOnDisk::Whole => {}
            CopyOnDisk::WithARest => fs::write(self.dir.path().join(".agreed.cache.new"), b"half a co").unwrap(),
            CopyOnDisk::Lost => drop(fs::remove_file(path)),
            CopyOnDisk::Damaged => {
                if let Ok(mut bytes) = fs::read(&path) {
                    let at = self.dice.random_range(0..bytes.len());
                    bytes[at] ^= 0x55;
                    fs::write(path, bytes).unwrap();
                }
            }
        }
    }

    async fn end(&mut self, end: impl FnOnce(&Up)) {
        let Some(Running { up, process, work, .. }) = self.running.take() else { return };
        end(&up);
        work.abort();
        process.go_on();
        let _ = work.await;
        // Time goes on only when a copy that was being written is on the disk.
        sleep(Duration::from_millis(1)).await;
    }

    /// Ends it in good order, with its copy written and a goodbye.
    pub(crate) async fn stop(&mut self, net: &Net) -> Result<(), String> {
        let Some(Running { follower, process, up, stop, .. }) = self.running.take() else { return Ok(()) };
        process.go_on();
        if let Some(member) = net.member(&id(&self.name)) {
            member.members.leave().await;
        }
        net.ended(&id(&self.name), true);
        stop.cancel();
        let stopped = timeout(STOPS, follower.stopped()).await;
        up.end();
        stopped.map_err(|_| format!("{} did not stop within {STOPS:?}", self.name))
    }
}
