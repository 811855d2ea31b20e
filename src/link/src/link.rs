use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{Direction, LinkInfo, Peer, Stream, mux};

/// One established link: what is known of it, and the handles to the tasks that run it. It ends when [`Link::close`] is
/// called or its connection breaks; whoever holds it then sees [`Link::close_reason`].
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: Peer,
    /// Drawn by the peer's process when it started.
    pub(crate) instance: u64,
    pub(crate) direction: Direction,
    pub(crate) since: Instant,
    pub(crate) software: String,
    pub(crate) listen_port: Option<u16>,
    /// How the peer sees this node's address.
    pub(crate) observed: Option<std::net::SocketAddr>,
    /// Largest request or answer that both ends take, in bytes.
    pub(crate) max_frame: usize,
    /// `host:port` as it was dialled.
    pub(crate) dialled: Option<String>,
    opens: mpsc::Sender<mux::Open>,
    orders: mpsc::Sender<Order>,
    /// Where the control stream goes that the dialling peer opens first.
    control: Mutex<Option<oneshot::Sender<Stream>>>,
    opening: Arc<Semaphore>,
    relaying: Arc<Semaphore>,
    serving: Arc<Semaphore>,
    opened: AtomicUsize,
    served: AtomicUsize,
    /// Milliseconds after `since`.
    last_used: AtomicU64,
    /// Microseconds; 0 before the first answer.
    rtt: AtomicU64,
    retired: AtomicBool,
    violated: AtomicBool,
    idle: Notify,
    closed: CancellationToken,
    close_reason: OnceLock<String>,
}

/// What is asked of the task that keeps the control stream.
#[derive(Debug)]
pub(crate) enum Order {
    /// Ping now; the sender is dropped unanswered if no answer comes.
    Probe(oneshot::Sender<()>),
    /// End the link once nothing is in flight on it.
    Retire,
}

/// The other ends of a link's handles, for its tasks.
pub(crate) struct Inlets {
    pub(crate) opens: mpsc::Receiver<mux::Open>,
    pub(crate) orders: mpsc::Receiver<Order>,
    pub(crate) control: oneshot::Receiver<Stream>,
}

/// What the handshake found out.
pub(crate) struct Facts {
    pub(crate) peer: Peer,
    pub(crate) instance: u64,
    pub(crate) direction: Direction,
    pub(crate) software: String,
    pub(crate) listen_port: Option<u16>,
    pub(crate) observed: Option<std::net::SocketAddr>,
    pub(crate) max_frame: usize,
    pub(crate) dialled: Option<String>,
}

/// Why a link gives no stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// It is being replaced; another one serves.
    Retired,
    /// It has ended.
    Closed,
}

impl Link {
    pub(crate) fn new(facts: Facts) -> (Arc<Self>, Inlets) {
        let (opens, opens_inlet) = mpsc::channel(64);
        let (orders, orders_inlet) = mpsc::channel(16);
        let (control, control_inlet) = oneshot::channel();
        let Facts { peer, instance, direction, software, listen_port, observed, max_frame, dialled } = facts;
        let link = Arc::new(Self {
            peer,
            instance,
            direction,
            since: Instant::now(),
            software,
            listen_port,
            observed,
            max_frame,
            dialled,
            opens,
            orders,
            control: Mutex::new(Some(control)),
            opening: Arc::new(Semaphore::new(mux::MAX_OPENED)),
            relaying: Arc::new(Semaphore::new(mux::MAX_RELAYED)),
            serving: Arc::new(Semaphore::new(mux::MAX_SERVED)),
            opened: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            last_used: AtomicU64::new(0),
            rtt: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            violated: AtomicBool::new(false),
            idle: Notify::new(),
            closed: CancellationToken::new(),
            close_reason: OnceLock::new(),
        });
        (link, Inlets { opens: opens_inlet, orders: orders_inlet, control: control_inlet })
    }

    pub(crate) fn info(&self) -> LinkInfo {
        LinkInfo {
            peer: self.peer.clone(),
            direction: self.direction,
            since: self.since,
            rtt: self.rtt(),
            software: self.software.clone(),
            listen_port: self.listen_port,
            observed: self.observed,
            streams: self.opened() + self.served(),
        }
    }

    /// A new stream for a call or a protocol. Waits while as many as allowed are in use.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Stream, NotOpened> {
        let permit = Arc::clone(&self.opening).acquire_owned().await.map_err(|_| NotOpened::Closed)?;
        self.open_with(Some(permit)).await
    }

    /// A new stream for a relayed link. These have places of their own, so that calls never wait for them.
    pub(crate) async fn open_relay(self: &Arc<Self>) -> Result<Stream, NotOpened> {
        let permit = Arc::clone(&self.relaying).acquire_owned().await.map_err(|_| NotOpened::Closed)?;
        self.open_with(Some(permit)).await
    }

    /// The first stream of all, which does not count as use.
    pub(crate) async fn open_control(self: &Arc<Self>) -> Result<Stream, NotOpened> {
        Ok(Stream::new(self.open_raw().await?, Lease { link: Arc::clone(self), count: None, permit: None }))
    }

    async fn open_with(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> Result<Stream, NotOpened> {
        let lease = Lease::new(self, Count::Opened, permit);
        // Counted before it is looked at: whoever retires the link sees either this stream or its refusal.
        if self.is_retired() {
            return Err(NotOpened::Retired);
        }
        Ok(Stream::new(self.open_raw().await?, lease))
    }

    async fn open_raw(&self) -> Result<yamux::Stream, NotOpened> {
        let (reply, stream) = oneshot::channel();
        self.opens.send(reply).await.map_err(|_| NotOpened::Closed)?;
        stream.await.map_err(|_| NotOpened::Closed)
    }

    /// Takes in a stream that the peer opened, unless too many are being served.
    pub(crate) fn accept(self: &Arc<Self>, inner: yamux::Stream) -> Option<Stream> {
        let permit = Arc::clone(&self.serving).try_acquire_owned().ok()?;
        Some(Stream::new(inner, Lease::new(self, Count::Served, Some(permit))))
    }

    /// Hands the control stream to its task. `false`: there was one already, or this end should have opened it.
    pub(crate) fn give_control(&self, stream: Stream) -> bool {
        let waiting = self.control.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.direction == Direction::Inbound && waiting.is_some_and(|waiting| waiting.send(stream).is_ok())
    }

    /// Whether the peer answers a ping in time.
    pub(crate) async fn probe(&self, within: Duration) -> bool {
        let (order, answered) = oneshot::channel();
        let probe = async { self.orders.send(Order::Probe(order)).await.is_ok() && answered.await.is_ok() };
        tokio::time::timeout(within, probe).await.unwrap_or(false)
    }

    /// Takes no new streams and ends the link once nothing is in flight. For the end that dialled; the other follows.
    pub(crate) fn retire(&self) {
        if !self.mark_retired() && self.orders.try_send(Order::Retire).is_err() {
            self.close("it is no longer needed");
        }
    }

    /// Returns whether it was retired before.
    pub(crate) fn mark_retired(&self) -> bool {
        self.retired.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Ends the link now. The first reason given stays.
    pub(crate) fn close(&self, reason: impl Into<String>) {
        let _ = self.close_reason.set(reason.into());
        self.opening.close();
        self.relaying.close();
        self.closed.cancel();
    }

    /// Ends the link because the peer broke the protocol; it will not be linked with for a while.
    pub(crate) fn violation(&self, what: impl Into<String>) {
        self.violated.store(true, Ordering::SeqCst);
        self.close(what);
    }

    pub(crate) fn was_violated(&self) -> bool {
        self.violated.load(Ordering::SeqCst)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Resolves when the link ends.
    pub(crate) async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(crate) fn close_reason(&self) -> Option<String> {
        self.close_reason.get().cloned()
    }

    /// Streams in use that this end opened.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Streams in use that the peer opened.
    pub(crate) fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// How long no stream has been in use.
    pub(crate) fn unused_for(&self) -> Duration {
        if self.opened() + self.served() > 0 {
            return Duration::ZERO;
        }
        self.since.elapsed().saturating_sub(Duration::from_millis(self.last_used.load(Ordering::Relaxed)))
    }

    /// Resolves each time a stream on a retired link ends.
    pub(crate) async fn stream_ended(&self) {
        self.idle.notified().await;
    }

    /// The round trip as it was last measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        let rtt = self.rtt.load(Ordering::Relaxed);
        (rtt != 0).then(|| Duration::from_micros(rtt))
    }

    pub(crate) fn set_rtt(&self, rtt: Duration) {
        self.rtt.store(u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }
}

/// A stream's place on its link, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    link: Arc<Link>,
    count: Option<Count>,
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug, Clone, Copy)]
enum Count {
    Opened,
    Served,
}

impl Lease {
    fn new(link: &Arc<Link>, count: Count, permit: Option<OwnedSemaphorePermit>) -> Self {
        let lease = Self { link: Arc::clone(link), count: Some(count), permit };
        lease.counter(count).fetch_add(1, Ordering::SeqCst);
        lease
    }

    fn counter(&self, count: Count) -> &AtomicUsize {
        match count {
            Count::Opened => &self.link.opened,
            Count::Served => &self.link.served,
        }
    }

    /// The control stream is no use of the link, and takes no place from calls.
    pub(crate) fn release(&mut self) {
        self.permit = None;
        if let Some(count) = self.count.take() {
            self.counter(count).fetch_sub(1, Ordering::SeqCst);
            let now = u64::try_from(self.link.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.link.last_used.store(now, Ordering::Relaxed);
            if self.link.is_retired() {
                self.link.idle.notify_one();
            }
        }
    }

    pub(crate) fn close_reason(&self) -> Option<String> {
        self.link.close_reason()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}
