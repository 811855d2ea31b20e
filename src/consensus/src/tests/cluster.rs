//! A cluster whose network and clock the test commands.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use ringrift_config::NodeId;
use ringrift_state::{Command, Eligibility, Update};
use tempfile::TempDir;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    runtime::Process,
    storage::{self, Disk},
};
use crate::{
    Consensus, ConsensusConfig, ProposeError, RaftStatus, Role, StartError, Timers, Transport, TransportError,
    handle::Committed, raft_config::Tuning,
};

/// Those of a WAN: in simulated time patience costs nothing, and each tick of a clock does.
pub(crate) const TIMERS: Timers = Timers {
    heartbeat: Duration::from_millis(200),
    election_min: Duration::from_millis(800),
    election_max: Duration::from_millis(1200),
};

/// How late the second copy of a request may come.
const AGAIN: Duration = Duration::from_secs(5);

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

/// Carries requests between the nodes of a test.
pub(crate) struct Net {
    nodes: Mutex<BTreeMap<NodeId, (Consensus, Process)>>,
    faults: Mutex<Faults>,
}

/// What goes wrong on the way.
pub(crate) struct Faults {
    /// Requests and answers from the first to the second are lost.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    /// The first is refused by the second's machine, at once.
    pub(crate) refused: BTreeSet<(NodeId, NodeId)>,
    /// This node's requests are lost, and its answers are not.
    pub(crate) unheard: Option<NodeId>,
    /// So many of 100 messages are lost.
    pub(crate) lost: u32,
    /// So many of 100 requests come a second time, up to [`AGAIN`] later: after others that were sent later.
    pub(crate) doubled: u32,
    /// Each message takes up to so long. A request travels on when its sender no longer waits.
    pub(crate) delay: Duration,
    rng: StdRng,
}

impl Net {
    pub(crate) fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.faults.lock().unwrap())
    }

    /// Cuts both ways between each of the first and each of the others.
    pub(crate) fn cut(&self, from: &str, others: &str) {
        self.faults(|faults| {
            for a in set(from) {
                for b in set(others) {
                    faults.cut.insert((a.clone(), b.clone()));
                    faults.cut.insert((b, a.clone()));
                }
            }
        });
    }

    /// Cuts one way only, from each of the first to each of the others.
    pub(crate) fn cut_one_way(&self, from: &str, to: &str) {
        let pairs = set(from).into_iter().flat_map(|a| set(to).into_iter().map(move |b| (a.clone(), b)));
        self.faults(|faults| faults.cut.extend(pairs.filter(|(a, b)| a != b)));
    }

    /// Has the second refuse what the first asks, as if nothing ran there.
    pub(crate) fn refuse(&self, from: &str, to: &str) {
        self.faults(|faults| faults.refused.insert((id(from), id(to))));
    }

    pub(crate) fn heal(&self) {
        self.faults(|faults| {
            faults.cut.clear();
            faults.refused.clear();
        });
    }

    /// One way of a message; whether it arrives.
    async fn way(&self, from: &NodeId, to: &NodeId) -> bool {
        let (arrives, delay) = self.faults(|faults| {
            let cut = faults.cut.contains(&(from.clone(), to.clone()));
            let lost = faults.lost > 0 && faults.rng.random_range(0..100) < faults.lost;
            let most = faults.delay.as_micros() as u64;
            let delay = if most == 0 { 0 } else { faults.rng.random_range(0..most) };
            (!cut && !lost, Duration::from_micros(delay + 100))
        });
        sleep(delay).await;
        arrives
    }

    /// Gives a request to the node that runs under this name now.
    async fn deliver(&self, from: &NodeId, to: &NodeId, request: Bytes) -> Result<Bytes, TransportError> {
        let peer = self.nodes.lock().unwrap().get(to).cloned();
        let (peer, process) = peer.ok_or_else(|| TransportError::Unreachable("connection refused".into()))?;
        process.run(peer.serve(from, request)).await.map_err(TransportError::Unreachable)
    }

    /// There and back; `None` if either way is lost.
    async fn round(&self, from: NodeId, to: NodeId, request: Bytes) -> Option<Result<Bytes, TransportError>> {
        let unheard = self.faults(|faults| faults.unheard.as_ref() == Some(&from));
        if unheard || !self.way(&from, &to).await {
            return None;
        }
        let answer = self.deliver(&from, &to, request).await;
        self.way(&to, &from).await.then_some(answer)
    }
}

struct Wire {
    net: Arc<Net>,
    node: NodeId,
}

#[async_trait]
impl Transport for Wire {
    async fn call(&self, to: &NodeId, request: Bytes, deadline: Duration) -> Result<Bytes, TransportError> {
        let give_up = Instant::now() + deadline;
        if self.net.faults(|faults| faults.refused.contains(&(self.node.clone(), to.clone()))) {
            return Err(TransportError::Unreachable("connection refused".into()));
        }
        let again = self.net.faults(|faults| {
            let doubled = faults.doubled > 0 && faults.rng.random_range(0..100) < faults.doubled;
            doubled.then(|| AGAIN.mul_f64(faults.rng.random()))
        });
        let trip = || (self.net.clone(), self.node.clone(), to.clone(), request.clone());
        if let Some(later) = again {
            let (net, from, to, request) = trip();
            tokio::spawn(async move {
                sleep(later).await;
                // Nobody waits for this answer.
                let _ = net.round(from, to, request).await;
            });
        }
        let (net, from, to, request) = trip();
        let (answered, answer) = oneshot::channel();
        tokio::spawn(async move {
            if let Some(answer) = net.round(from, to, request).await {
                let _ = answered.send(answer);
            }
        });
        if let Ok(Ok(answer)) = timeout_at(give_up, answer).await {
            return answer;
        }
        sleep_until(give_up).await;
        Err(TransportError::Timeout)
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
    disks: BTreeMap<NodeId, TempDir>,
}

impl Cluster {
    /// No voter yet.
    pub(crate) fn empty() -> Self {
        Self::seeded(0)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let faults = Faults {
            cut: BTreeSet::new(),
            refused: BTreeSet::new(),
            unheard: None,
            lost: 0,
            doubled: 0,
            delay: Duration::ZERO,
            rng,
        };
        Self {
            net: Arc::new(Net { nodes: Mutex::default(), faults: Mutex::new(faults) }),
            tuning: Tuning { inline_writes: true, ..Tuning::default() },
            timers: TIMERS,
            real_disks: false,
            simulated_disks: None,
            disks: BTreeMap::new(),
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
        self.net.nodes.lock().unwrap().insert(node, (consensus, process));
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

    fn take(&self, name: &str) -> (Consensus, Process) {
        self.net.nodes.lock().unwrap().remove(&id(name)).expect("runs")
    }

    pub(crate) async fn crash(&self, name: &str) {
        let (consensus, process) = self.take(name);
        // To end its tasks they must run; whatever they do reaches nobody and no disk any more.
        let crash = consensus.crash();
        process.go_on();
        crash.await;
    }

    /// The node's process.
    pub(crate) fn process(&self, name: &str) -> Process {
        self.net.nodes.lock().unwrap().get(&id(name)).expect("runs").1.clone()
    }

    /// Stops a node gracefully: it is still reached meanwhile.
    pub(crate) async fn stop(&self, name: &str) {
        self.node(name).shutdown().await;
        self.take(name);
    }

    pub(crate) fn node(&self, name: &str) -> Consensus {
        self.net.nodes.lock().unwrap().get(&id(name)).expect("runs").0.clone()
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

/// The number that [`command`] put into an update.
pub(crate) fn number(update: &Update) -> Option<u64> {
    match update {
        Update::Entry { command: Command::SetEligibility { at_ms, .. }, .. } => Some(*at_ms),
        _ => None,
    }
}

/// Whether nobody was there to take it.
pub(crate) fn nobody(error: &ProposeError) -> bool {
    matches!(error, ProposeError::NoLeader | ProposeError::NotLeader { .. })
}
