use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringrift_blob::Blob;
use ringrift_config::NodeId;
use ringrift_swarm::{DEGREE, Planner, PlannerConfig};
use tokio::sync::{Notify, Semaphore, broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::bucket::Bucket;
use crate::dial::{Dialer, Dialling};
use crate::progress::{ExchangeEvent, Progress};
use crate::session::{BoxedStream, ByteStream, Common, SessionTimes};
use crate::storage::Storage;
use crate::task::Task;

/// How much a node may send and take, both together with all others, in Mbit/s (10^6 bits a second). `None` and 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// To others.
    pub up_mbps: Option<u64>,
    /// From others.
    pub down_mbps: Option<u64>,
}

/// How an [`Engine`] behaves.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// This node.
    pub node: NodeId,
    /// Whether nobody can dial this node.
    pub dials_out_only: bool,
    /// How many neighbours it has, about.
    pub degree: usize,
    /// How chunks are planned. A `seed` of 0 is replaced by a random one.
    pub planner: PlannerConfig,
    /// Times of each session.
    pub times: SessionTimes,
    /// How many sessions there may be; more are told that the node is full.
    pub max_sessions: usize,
    /// How long a session with nothing left to exchange is kept.
    pub linger: Duration,
    /// How long a session is kept over which nothing was exchanged, though one end lacks something.
    pub quiet: Duration,
    /// How long nothing may come before a fetch is called stuck.
    pub stuck_after: Duration,
    /// How long after a full disk or another failure of the store it is tried again.
    pub retry_after: Duration,
    /// Limits on bytes.
    pub rates: Rates,
}

impl EngineConfig {
    /// The swarm's own degree, 64 sessions, idle ones closed after 15 s or 10 min, stuck after 60 s, a full disk looked at every
    /// 5 s, no limit on bytes.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            dials_out_only: false,
            degree: DEGREE,
            planner: PlannerConfig::default(),
            times: SessionTimes::default(),
            max_sessions: 64,
            linger: Duration::from_secs(15),
            quiet: Duration::from_mins(10),
            stuck_after: Duration::from_mins(1),
            retry_after: Duration::from_secs(5),
            rates: Rates::default(),
        }
    }
}

/// Exchanges chunks with other nodes until every wanted blob is here. Clones are handles to the same one.
///
/// One task owns the planner and does what it says; each session has two tasks, one that reads and one that writes; digests
/// and files are worked on in the blocking pool. Its memory is bounded: 2 chunks that are read ahead and 1 that comes in for
/// each session, one chunk for each core that verifies, and a few bytes for each chunk of the wanted blobs and each session.
/// With chunks of 256 KiB and 64 sessions that is 48 MiB at most, and some 5 MiB in practice, because upload slots and
/// requests are few.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    accepted: mpsc::Sender<(NodeId, BoxedStream)>,
    ended: CancellationToken,
}

/// What the handles and the task share.
pub(crate) struct Shared {
    pub(crate) wishes: Mutex<Wishes>,
    pub(crate) wished: Notify,
    pub(crate) progress: watch::Sender<Vec<Progress>>,
    pub(crate) events: broadcast::Sender<ExchangeEvent>,
    pub(crate) turns: AtomicU64,
    /// Set by a test of the watchdog.
    pub(crate) hangs: AtomicBool,
}

/// What was asked of the engine and not looked at yet. The newest takes the place of the one before.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) wanted: Option<Vec<Blob>>,
    pub(crate) members: Option<Vec<(NodeId, bool)>>,
    pub(crate) rates: Option<Rates>,
    pub(crate) recheck: bool,
}

/// Streams that wait for the task. More are closed, and their nodes come again.
const ACCEPTED: usize = 64;
/// News of sessions that wait for the task. Sessions wait when it is full.
const NEWS: usize = 256;
/// Events that a slow reader may lag behind.
const EVENTS: usize = 1024;

impl Engine {
    /// Runs until `shutdown`; then says goodbye to the others. Must be called inside a runtime.
    pub fn start(
        config: EngineConfig,
        storage: Arc<dyn Storage>,
        dialer: Arc<dyn Dialer>,
        shutdown: CancellationToken,
    ) -> Self {
        let shared = Arc::new(Shared {
            wishes: Mutex::default(),
            wished: Notify::new(),
            progress: watch::Sender::new(Vec::new()),
            events: broadcast::Sender::new(EVENTS),
            turns: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
        });
        let (accepted, inbound) = mpsc::channel(ACCEPTED);
        let (news, told) = mpsc::channel(NEWS);
        let verifiers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 64);
        let common = Arc::new(Common {
            node: config.node.clone(),
            instance: rand::random(),
            times: config.times.clone(),
            up: Bucket::new(config.rates.up_mbps),
            down: Bucket::new(config.rates.down_mbps),
            buffers: Arc::default(),
            verifying: Arc::new(Semaphore::new(verifiers)),
            verifiers: verifiers as u32,
            news,
        });
        let mut planner = config.planner.clone();
        if planner.seed == 0 {
            planner.seed = rand::random();
        }
        let dialling = Dialling::new(config.node.clone(), config.dials_out_only);
        let ended = CancellationToken::new();
        let task = Task::new(config, Planner::new(planner), dialling, Arc::clone(&shared), common, storage, dialer);
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            task.run(inbound, told, shutdown).await;
            drop(end);
        });
        Self { shared, accepted, ended }
    }

    /// What is to be here and is served, the most urgent first: it is asked for in that order if the planner's order is
    /// [`Order::Newest`](ringrift_swarm::Order), and otherwise as the planner sees fit. What was wanted before and is not in the list is no longer
    /// fetched or served, and what was fetched of it is removed, unless it is whole. Blobs that contradict themselves
    /// ([`Blob::check`]) are left out.
    pub fn set_wanted(&self, wanted: Vec<Blob>) {
        self.wish(|wishes| wishes.wanted = Some(wanted));
    }

    /// Who takes part, and whether a node dials out only. This node may be among them.
    pub fn set_members(&self, members: Vec<(NodeId, bool)>) {
        self.wish(|wishes| wishes.members = Some(members));
    }

    /// New limits, at once.
    pub fn set_rates(&self, rates: Rates) {
        self.wish(|wishes| wishes.rates = Some(rates));
    }

    /// Asks the store again what is here of each wanted blob: something was found damaged, or came by another way.
    pub fn recheck(&self) {
        self.wish(|wishes| wishes.recheck = true);
    }

    /// A stream that this node dialled us with, and proved who it is. Closed if too many wait; the node dials again.
    pub fn accept(&self, peer: NodeId, stream: impl ByteStream) {
        if let Err(refused) = self.accepted.try_send((peer, Box::new(stream))) {
            let (peer, _) = refused.into_inner();
            tracing::warn!(%peer, "closed a stream of {peer}: too many wait, or the exchange has ended");
        }
    }

    /// How far each wanted blob is, in the order of the wishes: at most ten times a second, and at once when the store has ended
    /// its work on all of them.
    pub fn progress(&self) -> watch::Receiver<Vec<Progress>> {
        self.shared.progress.subscribe()
    }

    /// What happens from now on.
    pub fn events(&self) -> broadcast::Receiver<ExchangeEvent> {
        self.shared.events.subscribe()
    }

    /// Counts the turns of the task: at least one a second while it lives.
    pub fn progress_counter(&self) -> u64 {
        self.shared.turns.load(Ordering::Relaxed)
    }

    /// Makes the task stand still for ever, as a defect would: for the tests of the watchdog.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    /// Returns when the task has ended, all sessions are closed and no file is written any more.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn wish(&self, how: impl FnOnce(&mut Wishes)) {
        how(&mut self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wished.notify_one();
    }
}

/// The neighbours of a node, with whether each dials out only.
pub(crate) fn neighbourhood(config: &EngineConfig, members: &[(NodeId, bool)]) -> BTreeMap<NodeId, bool> {
    let mut all: Vec<(NodeId, bool)> = members.iter().filter(|(id, _)| *id != config.node).cloned().collect();
    all.push((config.node.clone(), config.dials_out_only));
    let near = ringrift_swarm::neighbours(&config.node, &all, config.degree);
    all.into_iter().filter(|(id, _)| near.contains(id)).collect()
}
