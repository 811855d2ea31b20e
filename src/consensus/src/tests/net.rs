//! The simulated network: what carries requests between voters, and whose lines a test cuts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use ringrift_config::NodeId;
use ringrift_watch::Hub;
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    cluster::{id, set},
    gossip::{self, Member},
    line::Up,
    places::Places,
    runtime::Process,
};
use crate::{Consensus, Transport, TransportError};

/// How late the second copy of a request may come.
pub(crate) const AGAIN: Duration = Duration::from_secs(5);

/// Carries requests between the nodes of a test.
pub(crate) struct Net {
    pub(super) nodes: Mutex<BTreeMap<NodeId, Voter>>,
    faults: Mutex<Faults>,
    /// Wakes what waits for a line to be cut or mended.
    pub(crate) changed: Notify,
    pub(crate) began: Instant,
    places: Mutex<Places>,
    members: gossip::Running,
}

/// A voter that runs.
#[derive(Clone)]
pub(crate) struct Voter {
    pub(crate) consensus: Consensus,
    pub(crate) process: Process,
    /// What workers read from, if there are any.
    pub(crate) hub: Option<Hub>,
    pub(crate) up: Up,
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
    /// One on which nothing goes wrong yet; what will follows from the seed.
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
            nodes: Mutex::default(),
            faults: Mutex::new(faults),
            changed: Notify::new(),
            began: Instant::now(),
            places: Mutex::default(),
            members: Mutex::default(),
        }
    }

    pub(crate) fn faults<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.faults.lock().unwrap())
    }

    pub(crate) fn places<T>(&self, change: impl FnOnce(&mut Places) -> T) -> T {
        change(&mut self.places.lock().unwrap())
    }

    pub(crate) fn is_cut(&self, from: &NodeId, to: &NodeId) -> bool {
        self.faults(|faults| faults.cut.contains(&(from.clone(), to.clone())))
    }

    pub(crate) fn is_dark(&self, node: &NodeId) -> bool {
        self.places(|places| places.dark.contains(node))
    }

    pub(crate) fn member(&self, node: &NodeId) -> Option<Member> {
        self.members.lock().unwrap().get(node).cloned()
    }

    /// Everybody who runs, with their view of the others.
    pub(crate) fn members(&self) -> Vec<(NodeId, Member)> {
        self.members.lock().unwrap().iter().map(|(node, member)| (node.clone(), member.clone())).collect()
    }

    /// Lets go of everybody.
    pub(crate) fn forget_all(&self) {
        let voters = std::mem::take(&mut *self.nodes.lock().unwrap());
        let members = std::mem::take(&mut *self.members.lock().unwrap());
        drop((voters, members));
    }

    /// A node is up.
    pub(crate) fn joined(&self, node: &NodeId, member: Member) {
        self.places(|places| places.dark.remove(node));
        self.members.lock().unwrap().insert(node.clone(), member);
    }

    /// A node ended: whoever has a link to it notices, unless it has no power.
    pub(crate) fn ended(&self, node: &NodeId, power: bool) {
        let Some(member) = self.members.lock().unwrap().remove(node) else { return };
        member.end();
        self.places(|places| {
            places.ended(node);
            if !power {
                places.dark.insert(node.clone());
            }
        });
        if power {
            self.members().iter().for_each(|(_, other)| other.members.link_lost(node));
        }
    }

    /// Whether there is or comes a link from one node to another; why not.
    pub(crate) fn link(&self, from: &NodeId, to: &NodeId) -> Result<(), String> {
        let told = self.member(from).and_then(|member| Some(member.members.table().get(to)?.facts.as_ref()?.place));
        if self.is_cut(from, to) || self.is_cut(to, from) {
            self.places(|places| places.part(from, to));
            return Ok(());
        }
        let found = self.places(|places| places.link(from, to, told));
        if found { Ok(()) } else { Err(format!("{to} is not at the addresses that {from} knows")) }
    }

    /// The voter that runs under this name now.
    pub(crate) fn voter(&self, name: &NodeId) -> Option<Voter> {
        self.nodes.lock().unwrap().get(name).cloned()
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
        self.changed.notify_waiters();
    }

    /// Cuts one way only, from each of the first to each of the others.
    pub(crate) fn cut_one_way(&self, from: &str, to: &str) {
        let pairs = set(from).into_iter().flat_map(|a| set(to).into_iter().map(move |b| (a.clone(), b)));
        self.faults(|faults| faults.cut.extend(pairs.filter(|(a, b)| a != b)));
        self.changed.notify_waiters();
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
        self.changed.notify_waiters();
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
        let peer = self.voter(to).ok_or_else(|| TransportError::Unreachable("connection refused".into()))?;
        peer.process.run(peer.consensus.serve(from, request)).await.map_err(TransportError::Unreachable)
    }

    /// There and back; `None` if either way is lost.
    async fn round(&self, from: NodeId, to: NodeId, request: Bytes) -> Option<Result<Bytes, TransportError>> {
        let unheard = self.faults(|faults| faults.unheard.as_ref() == Some(&from));
        if let Err(lost) = self.link(&from, &to) {
            return Some(Err(TransportError::Unreachable(lost)));
        }
        if unheard || !self.way(&from, &to).await {
            return None;
        }
        let answer = self.deliver(&from, &to, request).await;
        self.way(&to, &from).await.then_some(answer)
    }
}

impl Net {
    /// Has a node do something for another one, if it is reached; `None` if either way is lost.
    pub(crate) async fn ask<T>(&self, from: &NodeId, to: &NodeId, work: impl AsyncFnOnce(Voter) -> T) -> Option<T> {
        self.link(from, to).ok()?;
        if !self.way(from, to).await {
            return None;
        }
        let peer = self.voter(to)?;
        let done = peer.process.clone().run(work(peer)).await;
        self.way(to, from).await.then_some(done)
    }
}

/// A node's end of the network.
pub(crate) struct Wire {
    pub(crate) net: Arc<Net>,
    pub(crate) node: NodeId,
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
