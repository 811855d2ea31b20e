//! A cluster whose network and clock the test commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use rand::rngs::StdRng;
use ringrift_config::NodeId;
use ringrift_state::{Command, Eligibility, Update};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{
    gossip, hub,
    jobs::{self, Plant},
    line::Up,
    net::{Net, Voter, Wire},
    runtime::Process,
    storage::{self, Disk},
};
use crate::{
    Consensus, ConsensusConfig, ProposeError, RaftStatus, Role, StartError, Timers, handle::Committed,
    raft_config::Tuning,
};

/// Those of a WAN: in simulated time patience costs nothing, and each tick of a clock does.
pub(crate) const TIMERS: Timers = Timers {
    heartbeat: Duration::from_millis(200),
    election_min: Duration::from_millis(800),
    election_max: Duration::from_millis(1200),
};

/// Nothing takes longer than this, in simulated time.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

pub(crate) fn set(names: &str) -> BTreeSet<NodeId> {
    names.split_whitespace().map(id).collect()
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: impl Debug, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what:?} did not happen within {PATIENCE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A directory in memory, where there is one: simulated time need not wait for a real disk.
pub(crate) fn memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Voters, running or not, and their disks.
pub(crate) struct Cluster {
    pub(crate) net: Arc<Net>,
    pub(crate) tuning: Tuning,
    pub(crate) timers: Timers,
    pub(crate) real_disks: bool,
    /// Disks that a test commands, on each of which a commit takes up to so long.
    pub(crate) simulated_disks: Option<Duration>,
    /// Whether voters serve workers.
    pub(crate) hubs: bool,
    /// What they know of jobs, if there are any.
    pub(crate) jobs: Option<Arc<Plant>>,
    /// Whether they are members, and what their chances follow from.
    pub(crate) gossip: Option<StdRng>,
    disks: BTreeMap<NodeId, TempDir>,
    /// Wall clocks.
    pub(crate) clocks: BTreeMap<NodeId, gossip::Clock>,
}

impl Cluster {
    /// No voter yet.
    pub(crate) fn empty() -> Self {
        Self::seeded(0)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self {
            net: Arc::new(Net::seeded(seed)),
            tuning: Tuning { inline_writes: true, ..Tuning::default() },
            timers: TIMERS,
            real_disks: false,
            simulated_disks: None,
            hubs: false,
            jobs: None,
            gossip: None,
            disks: BTreeMap::new(),
            clocks: BTreeMap::new(),
        }
    }

    /// Voters that found a cluster.
    pub(crate) async fn of(names: &str) -> Self {
        let mut cluster = Self::empty();
        cluster.start_all(names).await;
        cluster
    }

    pub(crate) async fn start_all(&mut self, names: &str) {
        for name in names.split_whitespace() {
            self.start(name, names).await.unwrap();
        }
    }

    /// Starts a voter on the disk that it has, or on an empty one.
    pub(crate) async fn start(&mut self, name: &str, genesis: &str) -> Result<(), StartError> {
        let node = id(name);
        let dir = self.disk(name);
        let config = ConsensusConfig { node: node.clone(), dir, genesis: set(genesis), timers: self.timers };
        let wire = Arc::new(Wire { net: self.net.clone(), node: node.clone() });
        let process = Process::default();
        let consensus = process.clone().run(Consensus::start_tuned(config, wire, self.tuning)).await?;
        let hub = self.hubs.then(|| hub::start(node.clone(), &consensus, &process));
        if let Some(dice) = &mut self.gossip {
            let clock = self.clocks.entry(node.clone()).or_default().clone();
            self.net.joined(&node, gossip::start(&self.net, &node, &process, dice, clock));
        }
        if let Some(plant) = &self.jobs {
            let lead = jobs::lead(self.net.clone(), plant.clone(), node.clone(), consensus.clone());
            tokio::spawn(process.clone().run(lead));
        }
        let voter = Voter { consensus, process, hub, up: Up::default() };
        self.net.nodes.lock().unwrap().insert(node, voter);
        Ok(())
    }

    /// Where a node's disk is.
    pub(crate) fn disk(&mut self, name: &str) -> PathBuf {
        let make = || {
            let dir = if self.real_disks { tempfile::tempdir().unwrap() } else { memory() };
            if let Some(lag) = self.simulated_disks {
                Disk::mount(dir.path(), lag);
            }
            dir
        };
        self.disks.entry(id(name)).or_insert_with(make).path().to_owned()
    }

    /// A node's simulated disk.
    pub(crate) fn platter(&mut self, name: &str) -> Disk {
        storage::at(&self.disk(name)).expect("disks are simulated here")
    }

    /// Empties a stopped node's disk.
    pub(crate) fn wipe(&mut self, name: &str) {
        self.disks.remove(&id(name));
    }

    fn take(&self, name: &str) -> Voter {
        let voter = self.net.nodes.lock().unwrap().remove(&id(name)).expect("runs");
        voter.up.end();
        self.net.ended(&id(name), !voter.up.is_silent());
        voter
    }

    /// Whoever is connected to this voter is not told that it ends.
    pub(crate) fn falls_silent(&self, name: &str) {
        self.net.voter(&id(name)).expect("runs").up.end_without_power();
    }

    pub(crate) async fn crash(&self, name: &str) {
        let Voter { consensus, process, .. } = self.take(name);
        // To end its tasks they must run; whatever they do reaches nobody and no disk any more.
        let crash = consensus.crash();
        process.go_on();
        crash.await;
    }

    /// The node's process.
    pub(crate) fn process(&self, name: &str) -> Process {
        self.net.nodes.lock().unwrap().get(&id(name)).expect("runs").process.clone()
    }

    /// Stops a node gracefully: it is still reached meanwhile.
    pub(crate) async fn stop(&self, name: &str) {
        self.node(name).shutdown().await;
        self.take(name);
    }

    pub(crate) fn node(&self, name: &str) -> Consensus {
        self.net.nodes.lock().unwrap().get(&id(name)).expect("runs").consensus.clone()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.net.nodes.lock().unwrap().keys().map(ToString::to_string).collect()
    }

    pub(crate) fn status(&self, name: &str) -> RaftStatus {
        self.node(name).status().borrow().clone()
    }

    /// The leader among these that it and all of them agree on.
    pub(crate) fn leader_now(&self, among: &str) -> Option<String> {
        let leaders: BTreeSet<_> = among.split_whitespace().map(|name| self.status(name).leader).collect();
        let leader = leaders.first().cloned().flatten()?.to_string();
        let one_of_them = among.split_whitespace().any(|name| name == leader);
        (leaders.len() == 1 && one_of_them && self.status(&leader).role == Role::Leader).then_some(leader)
    }

    /// Waits for the leader that these agree on.
    pub(crate) async fn leader(&self, among: &str) -> String {
        until(("a leader among", among), || self.leader_now(among)).await
    }

    /// Waits until the cluster has a name, and everybody knows it.
    pub(crate) async fn named(&self) -> String {
        until("the cluster has a name", || {
            let names: BTreeSet<_> =
                self.names().iter().map(|name| self.node(name).agreed().cluster_id.clone()).collect();
            names.first().filter(|name| names.len() == 1 && !name.is_empty()).cloned()
        })
        .await
    }

    /// Waits for the leader that all running ones agree on.
    pub(crate) async fn any_leader(&self) -> String {
        self.leader(&self.names().join(" ")).await
    }

    /// Has a command agreed on, by whoever leads.
    pub(crate) async fn write(&self, n: u64) -> Committed {
        let deadline = Instant::now() + PATIENCE;
        loop {
            for name in self.names() {
                if self.status(&name).role == Role::Leader
                    && let Ok(done) = self.node(&name).propose(command(n)).await
                {
                    return done;
                }
            }
            assert!(Instant::now() < deadline, "nobody took command {n}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until these have applied `index`.
    pub(crate) async fn applied(&self, among: &str, index: u64) {
        for name in among.split_whitespace() {
            until((name, "applies", index), || (self.node(name).agreed().index >= index).then_some(())).await;
        }
    }
}

/// A night has thousands of clusters: voters hold the network, which holds them.
impl Drop for Cluster {
    fn drop(&mut self) {
        self.net.forget_all();
        self.disks.values().for_each(|dir| Disk::unmount(dir.path()));
    }
}

/// A command that leaves its number in the state.
pub(crate) fn command(n: u64) -> Command {
    Command::SetEligibility {
        node: id(&format!("w{}", n % 64)),
        eligibility: [Eligibility::Cordoned, Eligibility::Draining, Eligibility::Eligible][n as usize % 3],
        by: "test".into(),
        reason: format!("{n}"),
        at_ms: n,
    }
}

/// A name for a cluster that has another one.
pub(crate) fn misnamed() -> Command {
    Command::FormCluster {
        cluster_id: "0123456789abcdef-00000000".into(),
        voters: set("a b c"),
        revision: String::new(),
        by: "test".into(),
        at_ms: 1,
    }
}

/// The number that [`command`] put into an update.
pub(crate) fn number(update: &Update) -> Option<u64> {
    match update {
        Update::Entry { command: Command::SetEligibility { at_ms, by, .. }, .. } if by == "test" => Some(*at_ms),
        _ => None,
    }
}

/// Whether nobody was there to take it.
pub(crate) fn nobody(error: &ProposeError) -> bool {
    matches!(error, ProposeError::NoLeader | ProposeError::NotLeader { .. })
}
