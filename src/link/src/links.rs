use std::{
    collections::HashMap,
    fmt, io,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use ringrift_config::NodeId;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpListener,
    sync::{Notify, Semaphore, broadcast, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    AddressBook, Handler, Identity, Limits, LinkError, LinkEvent, LinkInfo, Peer, Protocol, Stream,
    accept::{self, HalfOpen, Quiet},
    back_off::BackOff,
    dial,
    frame::{Answer, FrameError, Opening},
    link::{Link, NotOpened},
    serve,
    table::Table,
};

/// Events kept for a receiver that is slow.
const EVENTS: usize = 1024;

/// What [`Links::start`] needs to know about this node.
#[derive(Debug)]
pub struct LinkConfig {
    /// Certificates, and whom to trust.
    pub identity: Identity,
    /// This node's id; the identity must be for the same.
    pub node: NodeId,
    /// A number drawn when this process started: tells a restarted node from a second machine with its id.
    pub instance: u64,
    /// Where peers connect; none on a node that only dials out. The port of the first one is told to peers.
    pub listeners: Vec<TcpListener>,
    /// Source address of dials, unless it is `0.0.0.0` or `::`.
    pub bind: IpAddr,
    /// Bounds and times.
    pub limits: Limits,
}

/// The links of this node to all its peers: a handle, cheap to clone.
#[derive(Clone)]
pub struct Links {
    inner: Arc<Inner>,
}

/// A dial that several callers wait for.
type Dial = Shared<BoxFuture<'static, Result<Arc<Link>, LinkError>>>;

pub(crate) struct Inner {
    /// Replaced when certificates are read again.
    identity: ArcSwap<Identity>,
    pub(crate) node: NodeId,
    pub(crate) instance: u64,
    pub(crate) started: Instant,
    pub(crate) listen_port: Option<u16>,
    pub(crate) bind: IpAddr,
    pub(crate) limits: Limits,
    pub(crate) book: Arc<dyn AddressBook>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Woken when a link is up: a dial may have become needless.
    pub(crate) arrived: Notify,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) half_open: HalfOpen,
    pub(crate) relayed: Arc<Semaphore>,
    pub(crate) quiet: Mutex<Quiet>,
    /// How often each listener's loop has gone round.
    pub(crate) rounds: Vec<AtomicU64>,
    pub(crate) hangs: AtomicBool,
    events: broadcast::Sender<LinkEvent>,
    table: Mutex<Table>,
    dials: Mutex<HashMap<NodeId, Dial>>,
    back_off: Mutex<BackOff>,
    penalties: Mutex<BackOff>,
    worked: Mutex<HashMap<NodeId, (String, u16)>>,
    /// The address at the other end of each node's last direct link.
    places: Mutex<HashMap<NodeId, IpAddr>>,
}

impl Links {
    /// Starts accepting, and dials when a call or a stream needs it. Everything ends when `shutdown` is cancelled; wait
    /// for that with [`Links::stopped`].
    ///
    /// # Panics
    /// Outside a tokio runtime, and where the identity is for another node.
    pub fn start(
        config: LinkConfig,
        book: Arc<dyn AddressBook>,
        handler: Arc<dyn Handler>,
        shutdown: CancellationToken,
    ) -> Self {
        let LinkConfig { identity, node, instance, listeners, bind, limits } = config;
        assert_eq!(identity.node(), &node, "the certificates are for the node that uses them");
        let inner = Arc::new(Inner {
            instance,
            started: Instant::now(),
            listen_port: accept::port_of(listeners.first()),
            bind,
            book,
            handler,
            shutdown,
            tasks: TaskTracker::new(),
            arrived: Notify::new(),
            handshakes: Arc::new(Semaphore::new(limits.max_handshakes)),
            half_open: HalfOpen::default(),
            relayed: Arc::new(Semaphore::new(limits.max_relayed)),
            quiet: Mutex::default(),
            rounds: listeners.iter().map(|_| AtomicU64::new(0)).collect(),
            hangs: AtomicBool::new(false),
            events: broadcast::channel(EVENTS).0,
            table: Mutex::new(Table::new(node.clone())),
            dials: Mutex::default(),
            back_off: Mutex::new(BackOff::new(limits.back_off)),
            penalties: Mutex::new(BackOff::new(limits.penalty)),
            worked: Mutex::default(),
            places: Mutex::default(),
            identity: ArcSwap::from_pointee(identity),
            node,
            limits,
        });
        for (index, listener) in listeners.into_iter().enumerate() {
            inner.tasks.spawn(Arc::clone(&inner).accept(index, listener));
        }
        inner.tasks.close();
        Self { inner }
    }

    /// Sends one request and waits for its answer, dialling first if there is no link. `deadline` covers all of it. A
    /// request that was sent is never sent a second time.
    pub async fn call(
        &self,
        to: &NodeId,
        protocol: Protocol,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, LinkError> {
        let by = Instant::now() + deadline;
        let peer = to.to_string();
        let late = |what| LinkError::Timeout { peer: peer.clone(), what, after: deadline };
        let (link, mut stream) =
            timeout_at(by, self.inner.stream_to(to)).await.map_err(|_| late("dialling, and a free stream"))??;
        let limit = link.max_frame;
        if request.len() > limit {
            return Err(LinkError::TooLarge { peer, bytes: request.len() as u64, limit: limit as u64 });
        }
        let exchange = async {
            let opening = Opening::Call { protocol, deadline: by.saturating_duration_since(Instant::now()) };
            serve::request(&mut stream, opening, &request).await?;
            // The end goes along with the request, and the answer comes with the other end: nothing is left to say when the stream
            // is dropped, and a call is one packet each way.
            stream.shutdown().await?;
            Answer::read(&mut stream, limit).await
        };
        let answer = timeout_at(by, exchange).await.map_err(|_| late("its answer"))?;
        match answer {
            Ok(Answer::Done(answer)) => Ok(answer),
            Ok(Answer::Failed(message)) => Err(LinkError::Remote { peer, message }),
            Ok(Answer::TooLarge(bytes)) => Err(LinkError::TooLarge { peer, bytes, limit: limit as u64 }),
            Ok(Answer::Late) => Err(late("its answer")),
            Err(FrameError::Io(error)) => {
                // Who answers ends the stream behind the answer, never before it.
                let reset = error.kind() == io::ErrorKind::UnexpectedEof;
                let said = || if reset { "the peer reset the stream".to_owned() } else { error.to_string() };
                let reason = link.close_reason().unwrap_or_else(said);
                Err(LinkError::Closed { peer, reason })
            }
            Err(error) => {
                link.violation(error.to_string());
                Err(LinkError::Protocol { peer, reason: error.to_string() })
            }
        }
    }

    /// Opens a stream, dialling first if there is no link. Give it a deadline with [`tokio::time::timeout`].
    pub async fn open(&self, to: &NodeId, protocol: Protocol) -> Result<Stream, LinkError> {
        let (link, mut stream) = self.inner.stream_to(to).await?;
        let opened = stream.write_all(&Opening::Stream { protocol }.encode()).await;
        opened.map_err(|error| LinkError::Closed {
            peer: to.to_string(),
            reason: link.close_reason().unwrap_or_else(|| error.to_string()),
        })?;
        Ok(stream)
    }

    /// Links to whatever node answers at `host:port` and returns its id.
    pub async fn dial_seed(&self, seed: &str) -> Result<NodeId, LinkError> {
        let inner = &self.inner;
        let address = dial::parse_seed(seed)?;
        let linked = inner.table().all_best().find(|link| link.dialled.as_deref() == Some(seed));
        if let Some(link) = linked {
            return Ok(link.peer.node.clone());
        }
        tokio::select! {
            link = inner.dial_unknown(address) => Ok(link?.peer.node.clone()),
            () = inner.shutdown.cancelled() => Err(LinkError::Stopped),
        }
    }

    /// The live links, one for each node that has any, in order of node id.
    pub fn connected(&self) -> Vec<LinkInfo> {
        self.inner.table().all_best().map(|link| link.info()).collect()
    }

    /// Events from now on. A receiver that lags loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<LinkEvent> {
        self.inner.events.subscribe()
    }

    /// Closes the links to a node. It may be dialled again, and may dial, at once.
    pub fn close(&self, node: &NodeId) {
        let links: Vec<_> = self.inner.table().to(node).cloned().collect();
        for link in links {
            link.close("this node closed it");
        }
    }

    /// Shows and demands other certificates from now on; links that are up stay.
    ///
    /// # Panics
    /// Where the identity is for another node.
    pub fn set_identity(&self, identity: Identity) {
        assert_eq!(identity.node(), &self.inner.node, "the certificates are for the node that uses them");
        self.inner.identity.store(Arc::new(identity));
    }

    /// Grows as long as new links can be accepted, at least once a second; for the watchdog. `None` on a node that has no
    /// listener.
    pub fn progress(&self) -> Option<u64> {
        self.inner.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).min()
    }

    /// Makes the listeners stand still for ever, as a defect would: for the tests of the watchdog.
    pub fn hang(&self) {
        self.inner.hangs.store(true, Ordering::Relaxed);
    }

    /// Returns when the links have shut down and their tasks have ended.
    pub async fn stopped(&self) {
        self.inner.shutdown.cancelled().await;
        self.inner.tasks.wait().await;
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("node", &self.inner.node).finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn identity(&self) -> Arc<Identity> {
        self.identity.load_full()
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn back_off(&self) -> MutexGuard<'_, BackOff> {
        self.back_off.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn penalties(&self) -> MutexGuard<'_, BackOff> {
        self.penalties.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address over which each node was last reached.
    pub(crate) fn worked(&self) -> MutexGuard<'_, HashMap<NodeId, (String, u16)>> {
        self.worked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers from where a node is linked with; returns where it was before, if that was elsewhere.
    pub(crate) fn moved_from(&self, peer: &Peer) -> Option<IpAddr> {
        let now = peer.addr.ip().to_canonical();
        // A relay's address says nothing of the node behind it.
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let before = peer.via.is_none().then(|| places.insert(peer.node.clone(), now)).flatten();
        before.filter(|before| *before != now)
    }

    pub(crate) fn emit(&self, event: LinkEvent) {
        // Nobody listening is no error.
        let _ = self.events.send(event);
    }

    /// A link to a node and a new stream on it.
    async fn stream_to(self: &Arc<Self>, to: &NodeId) -> Result<(Arc<Link>, Stream), LinkError> {
        let mut closed_before = false;
        loop {
            let link = self.link_to(to).await?;
            match link.open().await {
                Ok(stream) => return Ok((link, stream)),
                Err(NotOpened::Retired) => {}
                // Nothing was sent yet, so another link may serve; but not for ever.
                Err(NotOpened::Closed) if !closed_before => closed_before = true,
                Err(NotOpened::Closed) => {
                    let reason = link.close_reason().unwrap_or_else(|| "it ended".to_owned());
                    return Err(LinkError::Closed { peer: to.to_string(), reason });
                }
            }
        }
    }

    /// The link to a node; dialled if there is none, unless one arrives first.
    async fn link_to(self: &Arc<Self>, to: &NodeId) -> Result<Arc<Link>, LinkError> {
        if *to == self.node {
            return Err(LinkError::NoRoute { peer: to.to_string(), reason: "it is this node itself".to_owned() });
        }
        loop {
            let arrived = self.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            if self.shutdown.is_cancelled() {
                return Err(LinkError::Stopped);
            }
            if let Some(link) = self.table().best(to) {
                return Ok(link);
            }
            tokio::select! {
                dialled = self.dialling(to) => return dialled,
                () = arrived => {}
            }
        }
    }

    /// The dial to a node that is under way, or a new one. It goes on when a caller gives up.
    fn dialling(self: &Arc<Self>, to: &NodeId) -> Dial {
        let mut dials = self.dials.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dial) = dials.get(to) {
            return dial.clone();
        }
        let (done, result) = oneshot::channel();
        let dial = result.map(|result| result.unwrap_or(Err(LinkError::Stopped))).boxed().shared();
        dials.insert(to.clone(), dial.clone());
        drop(dials);
        let (inner, to) = (Arc::clone(self), to.clone());
        self.tasks.spawn(async move {
            let result = tokio::select! {
                result = inner.dial(&to) => result,
                () = inner.shutdown.cancelled() => Err(LinkError::Stopped),
            };
            inner.dials.lock().unwrap_or_else(PoisonError::into_inner).remove(&to);
            let _ = done.send(result);
        });
        dial
    }
}
