use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use rand::rngs::SmallRng;
use ringrift_config::NodeId;
use tokio::{
    sync::{Notify, broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Event, Facts, Machine, MembersConfig, Table, Transport,
    publish::Publisher,
    task::Task,
    uptime::{Uptime, WallClock, wall_ms},
};

/// Requests that wait for the task. A caller beyond them waits too; its own deadline bounds that.
const WAITING_REQUESTS: usize = 256;
/// Events that a slow receiver may lag behind.
const EVENT_BACKLOG: usize = 1024;

/// The members of the cluster as this node sees them. A cheap handle; the work is done by one task.
#[derive(Debug)]
pub struct Members<F> {
    shared: Arc<Shared<F>>,
}

/// What the handles and the task share. It lives as long as any of them.
#[derive(Debug)]
pub(crate) struct Shared<F> {
    pub(crate) table: ArcSwap<Table<F>>,
    pub(crate) wishes: Mutex<Wishes<F>>,
    pub(crate) wished: Notify,
    pub(crate) requests: mpsc::Sender<Request>,
    pub(crate) leaving: mpsc::Sender<oneshot::Sender<()>>,
    pub(crate) changes: watch::Sender<u64>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) progress: AtomicU64,
    pub(crate) hangs: AtomicBool,
}

/// What was asked for since the task last looked; the latest wins, so it never grows beyond the cluster.
#[derive(Debug)]
pub(crate) struct Wishes<F> {
    pub(crate) local: Option<F>,
    pub(crate) known: Option<Vec<NodeId>>,
    pub(crate) meet: BTreeSet<NodeId>,
    pub(crate) lost: BTreeSet<NodeId>,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) from: NodeId,
    pub(crate) payload: Bytes,
    pub(crate) reply: oneshot::Sender<Result<Bytes, String>>,
}

impl<F> Clone for Members<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F: Facts> Members<F> {
    /// Starts to watch: `known` are the nodes of the hosts file, `initial` is what this node tells of itself.
    ///
    /// The task ends when `shutdown` is cancelled, without a goodbye: call [`Members::leave`] first for that.
    pub fn start(
        config: MembersConfig,
        initial: F,
        known: Vec<NodeId>,
        transport: Arc<dyn Transport>,
        shutdown: CancellationToken,
    ) -> Self {
        let (members, work) =
            Self::prepare(config, initial, known, transport, rand::make_rng(), Box::new(wall_ms), shutdown);
        tokio::spawn(work);
        members
    }

    /// The same with the caller's dice and wall clock, and the caller runs the work: in a simulation they belong to an imagined
    /// machine.
    pub fn prepare(
        config: MembersConfig,
        initial: F,
        known: Vec<NodeId>,
        transport: Arc<dyn Transport>,
        rng: SmallRng,
        wall_ms: WallClock,
        shutdown: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        let (leaving, goodbye) = mpsc::channel(1);
        let mut uptime = Uptime::start(wall_ms);
        let mut outputs = Vec::new();
        let now = uptime.now();
        let machine = Machine::new(config, initial, known, rng, now, &mut outputs);
        let (publisher, table) = Publisher::first((now.at, Instant::now().into_std()), &machine);
        let shared = Arc::new(Shared {
            table: ArcSwap::from_pointee(table),
            wishes: Mutex::default(),
            wished: Notify::new(),
            requests,
            leaving,
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            progress: AtomicU64::new(0),
            hangs: AtomicBool::new(false),
        });
        let task = Task {
            machine,
            publisher,
            uptime,
            shared: Arc::clone(&shared),
            transport,
            calls: JoinSet::new(),
            call_ids: HashMap::new(),
            replies: BTreeMap::new(),
            last_ticket: 0,
            farewells: Vec::new(),
            not_made: Vec::new(),
        };
        (Self { shared }, task.run(outputs, waiting, goodbye, shutdown))
    }

    /// Answers a request that another node's [`Transport::exchange`] sent. `from` is who the link says it is.
    ///
    /// An error names what was wrong with the request, or says that this node has stopped.
    pub async fn serve(&self, from: &NodeId, request: Bytes) -> Result<Bytes, String> {
        let (reply, answer) = oneshot::channel();
        let stopped = || "this node is stopping".to_owned();
        let request = Request { from: from.clone(), payload: request, reply };
        self.shared.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Replaces what this node tells of itself. Nothing is sent if it is equal to what it told before.
    pub fn set_local(&self, facts: F) {
        self.wish(|w| w.local = Some(facts));
    }

    /// Replaces the nodes that the hosts file names: they are looked for while unseen, and never forgotten.
    pub fn set_known(&self, known: Vec<NodeId>) {
        self.wish(|w| w.known = Some(known));
    }

    /// Talks to a node at once that may be new: for a seed whose id was found by dialling it.
    pub fn meet(&self, node: &NodeId) {
        self.wish(|w| {
            w.meet.insert(node.clone());
        });
    }

    /// The link to `node` broke: probe it now. It is evidence, not a verdict.
    pub fn link_lost(&self, node: &NodeId) {
        self.wish(|w| {
            w.lost.insert(node.clone());
        });
    }

    /// Says goodbye to several members and returns when they know, after a second at most. The node stays `Left`.
    pub async fn leave(&self) {
        let (told, done) = oneshot::channel();
        if self.shared.leaving.send(told).await.is_ok() {
            let _ = done.await;
        }
    }

    /// The members now; this node is one of them. Costs an atomic load.
    pub fn table(&self) -> Arc<Table<F>> {
        self.shared.table.load_full()
    }

    /// A number that grows whenever a state or a fact in the table changed (not when somebody was merely seen again).
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    /// What happens from now on, for the log and for whoever acts upon it; nothing is logged here. A receiver that lags
    /// loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Grows at least once a round while the task runs; for the watchdog.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }

    /// Makes the task stand still for ever, as a defect would: for the tests of the watchdog.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Ordering::Relaxed);
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes<F>)) {
        change(&mut self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wished.notify_one();
    }
}

impl<F> Default for Wishes<F> {
    fn default() -> Self {
        Self { local: None, known: None, meet: BTreeSet::new(), lost: BTreeSet::new() }
    }
}
