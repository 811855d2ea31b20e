//! A few nodes in one process, on real sockets.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

pub(crate) mod stranger;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use ringrift_config::NodeId;
use ringrift_link::{
    AddressBook, Handler, Identity, Limits, LinkConfig, LinkError, LinkEvent, LinkInfo, Links, Peer, Protocol, Routes,
    Stream,
};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    sync::{Semaphore, broadcast},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine; nothing waits for it to pass unless the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// Where the nodes of one test are; tests change it as they go.
#[derive(Default)]
pub(crate) struct Book(Mutex<HashMap<NodeId, Routes>>);

impl Book {
    pub(crate) fn set(&self, node: &str, direct: &[SocketAddr], relays: &[&str]) {
        let direct = direct.iter().map(|addr| (addr.ip().to_string(), addr.port())).collect();
        self.0
            .lock()
            .unwrap()
            .insert(id(node), Routes { direct, relays: relays.iter().map(|relay| id(relay)).collect() });
    }
}

impl AddressBook for Book {
    fn routes(&self, to: &NodeId) -> Routes {
        self.0.lock().unwrap().get(to).cloned().unwrap_or_default()
    }
}

/// Answers what tests ask: see `call`.
pub(crate) struct Answers {
    /// A request "wait", or "wait and give " and a size, is answered once the test adds a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// Such requests that have come.
    pub(crate) waiting: Arc<AtomicU64>,
}

#[async_trait]
impl Handler for Answers {
    async fn call(&self, from: &Peer, protocol: Protocol, request: Bytes) -> Result<Bytes, String> {
        let text = String::from_utf8_lossy(&request);
        let later = text.strip_prefix("wait and ");
        if later.is_some() {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
        }
        if let Some(size) = later.unwrap_or(&text).strip_prefix("give ") {
            return Ok(vec![7; size.parse().unwrap()].into());
        }
        match text.as_ref() {
            "fail" => Err("no such thing".to_owned()),
            "hang" => std::future::pending().await,
            "wait" => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                self.gate.acquire().await.unwrap().forget();
                Ok("waited".into())
            }
            text => {
                let via = from.via.as_ref().map(|relay| format!(" via {relay}")).unwrap_or_default();
                Ok(format!("{protocol:?} {text} from {}{via}", from.node).into())
            }
        }
    }

    async fn stream(&self, _: Peer, _: Protocol, stream: Stream) {
        let (mut read, mut write) = tokio::io::split(stream);
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
    }
}

pub(crate) struct Node {
    pub(crate) links: Links,
    pub(crate) addr: SocketAddr,
    pub(crate) book: Arc<Book>,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) waiting: Arc<AtomicU64>,
    pub(crate) stop: CancellationToken,
    pub(crate) events: broadcast::Receiver<LinkEvent>,
}

/// What tests vary.
pub(crate) struct Setup {
    pub(crate) identity: Identity,
    pub(crate) instance: u64,
    pub(crate) listens: bool,
    /// A second listener, as of a socket unit with two addresses.
    pub(crate) also: Option<TcpListener>,
    pub(crate) limits: Limits,
    /// The source of dials, where it is not the listener's address.
    pub(crate) bind: Option<std::net::IpAddr>,
}

pub(crate) fn setup(name: &str) -> Setup {
    static INSTANCE: AtomicU64 = AtomicU64::new(1);
    Setup {
        identity: Identity::from_secrets(&id(name), SECRET, None).unwrap(),
        instance: INSTANCE.fetch_add(1, Ordering::Relaxed),
        listens: true,
        also: None,
        limits: Limits::default(),
        bind: None,
    }
}

pub(crate) async fn start(name: &str, book: &Arc<Book>, change: impl FnOnce(&mut Setup)) -> Node {
    let mut setup = setup(name);
    change(&mut setup);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (gate, waiting) = (Arc::new(Semaphore::new(0)), Arc::default());
    let handler = Answers { gate: Arc::clone(&gate), waiting: Arc::clone(&waiting) };
    let config = LinkConfig {
        node: setup.identity.node().clone(),
        identity: setup.identity,
        instance: setup.instance,
        listeners: setup.listens.then_some(listener).into_iter().chain(setup.also).collect(),
        bind: setup.bind.unwrap_or(addr.ip()),
        limits: setup.limits,
    };
    let stop = CancellationToken::new();
    let links = Links::start(config, Arc::clone(book) as _, Arc::new(handler), stop.clone());
    let events = links.events();
    Node { links, addr, book: Arc::clone(book), gate, waiting, stop, events }
}

/// A node whose address is in the book.
pub(crate) async fn listed(name: &str, book: &Arc<Book>) -> Node {
    let node = start(name, book, |_| {}).await;
    book.set(name, &[node.addr], &[]);
    node
}

impl Node {
    pub(crate) async fn call(&self, to: &str, request: &str) -> Result<String, LinkError> {
        let answer = self.links.call(&id(to), Protocol::Gossip, request.to_owned().into(), PATIENCE).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends bytes through a stream that comes back from the other end.
    pub(crate) async fn echo(&self, to: &str, bytes: &[u8]) -> Vec<u8> {
        let stream = self.links.open(&id(to), Protocol::Watch).await.unwrap();
        let (mut read, mut write) = tokio::io::split(stream);
        let mut back = Vec::new();
        let send = async {
            tokio::io::AsyncWriteExt::write_all(&mut write, bytes).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut write).await.unwrap();
        };
        let (received, ()) = tokio::join!(read.read_to_end(&mut back), send);
        received.unwrap();
        back
    }

    /// Requests "wait" that have come here.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn link(&self, to: &str) -> Option<LinkInfo> {
        self.links.connected().into_iter().find(|link| link.peer.node == id(to))
    }

    /// The next event that the test looks for.
    pub(crate) async fn event<T>(&mut self, mut wanted: impl FnMut(LinkEvent) -> Option<T>) -> T {
        let next = async {
            loop {
                if let Some(found) = wanted(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, next).await.expect("the event comes")
    }

    pub(crate) async fn rejected(&mut self) -> String {
        self.event(|event| if let LinkEvent::Rejected { reason, .. } = event { Some(reason) } else { None }).await
    }

    pub(crate) async fn down(&mut self) -> String {
        self.event(|event| if let LinkEvent::Down { reason, .. } = event { Some(reason) } else { None }).await
    }
}

/// Waits until something has become true.
pub(crate) async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

/// An address where nobody listens.
pub(crate) async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
