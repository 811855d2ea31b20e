use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use ringrift_config::NodeId;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{Event, Facts, Member, MembersConfig, State, Table, Transport};

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
struct Shared<F> {
    table: ArcSwap<Table<F>>,
    wishes: Mutex<Wishes<F>>,
    wished: Notify,
    requests: mpsc::Sender<Request>,
    leaving: mpsc::Sender<oneshot::Sender<()>>,
    changes: watch::Sender<u64>,
    events: broadcast::Sender<Event>,
    progress: AtomicU64,
}

/// What was asked for since the task last looked; the latest wins, so it never grows beyond the cluster.
#[derive(Debug)]
struct Wishes<F> {
    local: Option<F>,
    known: Option<Vec<NodeId>>,
    meet: BTreeSet<NodeId>,
    lost: BTreeSet<NodeId>,
}

#[derive(Debug)]
struct Request {
    from: NodeId,
    payload: Bytes,
    reply: oneshot::Sender<Result<Bytes, String>>,
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
        let (requests, waiting) = mpsc::channel(WAITING_REQUESTS);
        let (leaving, goodbye) = mpsc::channel(1);
        let now = Instant::now();
        let row = |id: NodeId, state, facts| {
            Arc::new(Member {
                id,
                instance: config.instance,
                incarnation: 1,
                state,
                facts,
                last_seen: None,
                since: now,
                rtt: None,
                facts_at: None,
                clock_offset_ms: None,
                accuser: None,
                known: true,
            })
        };
        let mut rows: Vec<_> = known
            .into_iter()
            .filter(|n| *n != config.node)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|n| row(n, State::Unseen, None))
            .collect();
        rows.push(row(config.node.clone(), State::Alive, Some(Arc::new(initial))));
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        let shared = Arc::new(Shared {
            table: ArcSwap::from_pointee(Table::new(&config.node, rows)),
            wishes: Mutex::new(Wishes { local: None, known: None, meet: BTreeSet::new(), lost: BTreeSet::new() }),
            wished: Notify::new(),
            requests,
            leaving,
            changes: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            progress: AtomicU64::new(0),
        });
        tokio::spawn(run(Arc::clone(&shared), waiting, goodbye, transport, shutdown));
        Self { shared }
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

    /// What happens from now on. They are logged already; a receiver that lags loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Grows at least once a round while the task runs; for the watchdog.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }

    fn wish(&self, change: impl FnOnce(&mut Wishes<F>)) {
        change(&mut self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.wished.notify_one();
    }
}

async fn run<F: Facts>(
    shared: Arc<Shared<F>>,
    mut waiting: mpsc::Receiver<Request>,
    mut goodbye: mpsc::Receiver<oneshot::Sender<()>>,
    _transport: Arc<dyn Transport>,
    shutdown: CancellationToken,
) {
    loop {
        shared.progress.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = shared.wished.notified() => {}
            Some(request) = waiting.recv() => {
                let _ = request.reply.send(Err(format!("{} bytes from {}", request.payload.len(), request.from)));
            }
            Some(told) = goodbye.recv() => { let _ = told.send(()); }
        }
    }
}
