//! The membership of a life's nodes, over the same network as everything else.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use rand::{
    RngExt, SeedableRng,
    rngs::{SmallRng, StdRng},
};
use ringrift_config::NodeId;
use ringrift_members::{Members, MembersConfig, Timing};
use serde::{Deserialize, Serialize};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    net::{AGAIN, Net},
    places::Place,
    runtime::Process,
};

/// What a node tells of itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Card {
    pub(crate) place: Place,
}

/// A node that runs, and its view of the others.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) members: Members<Card>,
    pub(crate) instance: u64,
    process: Process,
    work: Arc<JoinHandle<()>>,
}

/// Who runs.
pub(crate) type Running = Mutex<BTreeMap<NodeId, Member>>;

struct Gossip {
    net: Arc<Net>,
    node: NodeId,
    dice: Mutex<StdRng>,
}

/// What becomes of one message.
struct Fate {
    arrives: bool,
    after: Duration,
}

impl Gossip {
    fn fate(&self) -> Fate {
        let (lost, most) = self.net.faults(|faults| (faults.lost, faults.delay.as_micros() as u64));
        let mut dice = self.dice.lock().unwrap();
        let arrives = dice.random_range(0..100) >= lost;
        let most = most.max(1000);
        Fate { arrives, after: Duration::from_micros(100 + dice.random_range(0..most)) }
    }

    async fn way(&self, from: &NodeId, to: &NodeId, fate: Fate) {
        let cut = self.net.is_cut(from, to);
        sleep(fate.after).await;
        if cut || !fate.arrives {
            pending::<()>().await;
        }
    }

    /// The peer's answer, if it is there.
    async fn asked(&self, to: &NodeId, request: Bytes) -> Result<Bytes, String> {
        if self.net.is_dark(to) {
            pending::<()>().await;
        }
        let peer = self.net.member(to).ok_or("connection refused")?;
        peer.process.run(peer.members.serve(&self.node, request)).await
    }
}

#[async_trait]
impl ringrift_members::Transport for Gossip {
    async fn exchange(&self, to: &NodeId, request: Bytes, _: Duration) -> Result<Bytes, String> {
        let (there, back) = (self.fate(), self.fate());
        let doubled = self.net.faults(|faults| faults.doubled);
        let again = {
            let mut dice = self.dice.lock().unwrap();
            (dice.random_range(0..100) < doubled).then(|| AGAIN.mul_f64(dice.random()))
        };
        self.net.link(&self.node, to)?;
        if let Some(later) = again {
            let (net, from, to, request) = (self.net.clone(), self.node.clone(), to.clone(), request.clone());
            tokio::spawn(async move {
                sleep(later).await;
                if let Some(peer) = net.member(&to).filter(|_| !net.is_cut(&from, &to)) {
                    // Nobody waits for this answer.
                    let _ = peer.process.run(peer.members.serve(&from, request)).await;
                }
            });
        }
        self.way(&self.node, to, there).await;
        let answer = self.asked(to, request).await?;
        self.way(to, &self.node, back).await;
        Ok(answer)
    }
}

/// A node's wall clock: how far it is off, in milliseconds.
pub(crate) type Clock = Arc<AtomicI64>;

/// Takes part in the membership, as a part of this process.
pub(crate) fn start(net: &Arc<Net>, node: &NodeId, process: &Process, dice: &mut StdRng, clock: Clock) -> Member {
    let transport =
        Gossip { net: net.clone(), node: node.clone(), dice: Mutex::new(StdRng::seed_from_u64(dice.random())) };
    let instance = dice.random_range(1..u64::MAX);
    let config = MembersConfig { node: node.clone(), instance, timing: Timing::default() };
    let (card, known) = net.places(|places| (Card { place: places.at(node).unwrap_or_default() }, places.nodes()));
    let began = Instant::now();
    let wall_ms = move || 1_700_000_000_000 + began.elapsed().as_millis() as i64 + clock.load(Ordering::Relaxed);
    let rng = SmallRng::seed_from_u64(dice.random());
    let stop = CancellationToken::new();
    let (members, work) = Members::prepare(config, card, known, Arc::new(transport), rng, Box::new(wall_ms), stop);
    let work = Arc::new(tokio::spawn(process.clone().run(work)));
    Member { members, instance, process: process.clone(), work }
}

impl Member {
    /// Its process is gone.
    pub(crate) fn end(&self) {
        self.work.abort();
    }
}
