//! Many nodes in one process: real stores, and streams in memory that can be cut.
#![allow(dead_code, unreachable_pub)]

pub mod actor;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ringrift_blob::{Blob, BlobHasher, Digest};
use ringrift_config::NodeId;
use ringrift_exchange::{BoxedStream, Dialer, Engine, EngineConfig, ExchangeEvent, FetchState, Progress};
use ringrift_store::{Store, StoreConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex, split};
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes.
pub const LONG: Duration = Duration::from_mins(1);

pub fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// Who can be reached, and the streams that there are.
#[derive(Default)]
pub struct Net {
    nodes: Mutex<BTreeMap<NodeId, Engine>>,
    streams: Mutex<Vec<(NodeId, NodeId, AbortHandle)>>,
    pub dials: Mutex<Vec<(NodeId, NodeId)>>,
    /// Those that nobody can dial.
    pub hidden: Mutex<BTreeSet<NodeId>>,
    limits: Mutex<BTreeMap<NodeId, Arc<Uplink>>>,
}

/// What a node sends passes one after the other.
struct Uplink {
    bytes_per_second: u64,
    busy: tokio::sync::Mutex<()>,
    /// Nothing comes or goes before.
    frozen_until: Mutex<Instant>,
}

impl Uplink {
    async fn thawed(&self) {
        let until = *self.frozen_until.lock().unwrap();
        sleep_until(until).await;
    }

    /// Carries bytes over this link until an end closes.
    async fn carry(&self, to: &Self, mut read: impl AsyncRead + Unpin, mut write: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 16 << 10];
        while let Ok(length @ 1..) = read.read(&mut buffer).await {
            {
                let _turn = self.busy.lock().await;
                sleep(Duration::from_micros(length as u64 * 1_000_000 / self.bytes_per_second)).await;
            }
            self.thawed().await;
            to.thawed().await;
            if write.write_all(&buffer[..length]).await.is_err() {
                break;
            }
        }
        let _ = write.shutdown().await;
    }
}

impl Net {
    /// Ends all streams of a node without a goodbye, and lets nobody reach it.
    pub fn cut(&self, node: &NodeId) {
        self.nodes.lock().unwrap().remove(node);
        self.break_all(node);
    }

    /// Ends all streams of a node without a goodbye.
    pub fn break_all(&self, node: &NodeId) {
        for (from, to, stream) in self.streams.lock().unwrap().iter() {
            if from == node || to == node {
                stream.abort();
            }
        }
    }

    /// Gives a node a rate at which it sends over streams that begin later. All nodes or none must have one.
    pub fn limit(&self, node: &NodeId, bytes_per_second: u64) {
        let frozen_until = Mutex::new(Instant::now());
        let link = Uplink { bytes_per_second, busy: tokio::sync::Mutex::default(), frozen_until };
        self.limits.lock().unwrap().insert(node.clone(), Arc::new(link));
    }

    /// Lets nothing through to and from a node with a rate, for a while.
    pub fn freeze(&self, node: &NodeId, lasts: Duration) {
        *self.limits.lock().unwrap()[node].frozen_until.lock().unwrap() = Instant::now() + lasts;
    }

    /// Returns when no stream is open.
    pub async fn all_closed(&self) {
        loop {
            let open = self.streams.lock().unwrap().iter().any(|(_, _, stream)| !stream.is_finished());
            if !open {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The near end of a new stream to a node, as `from`.
    pub fn connect(&self, from: &NodeId, to: &NodeId) -> Result<DuplexStream, String> {
        self.dials.lock().unwrap().push((from.clone(), to.clone()));
        if self.hidden.lock().unwrap().contains(to) {
            return Err("nobody can dial it".to_owned());
        }
        let engine = self.nodes.lock().unwrap().get(to).cloned().ok_or("no such node")?;
        let ((near, mut a), (mut b, far)) = (duplex(64 << 10), duplex(64 << 10));
        let limits = self.limits.lock().unwrap();
        let links = limits.get(from).cloned().zip(limits.get(to).cloned());
        drop(limits);
        let carrier = tokio::spawn(async move {
            if let Some((near, far)) = links {
                let ((a_read, a_write), (b_read, b_write)) = (split(a), split(b));
                tokio::join!(near.carry(&far, a_read, b_write), far.carry(&near, b_read, a_write));
            } else {
                let _ = copy_bidirectional(&mut a, &mut b).await;
            }
        });
        self.streams.lock().unwrap().push((from.clone(), to.clone(), carrier.abort_handle()));
        engine.accept(from.clone(), far);
        Ok(near)
    }
}

struct From {
    me: NodeId,
    net: Arc<Net>,
}

#[async_trait]
impl Dialer for From {
    async fn dial(&self, peer: &NodeId) -> Result<BoxedStream, String> {
        self.net.connect(&self.me, peer).map(|stream| Box::new(stream) as BoxedStream)
    }
}

/// A node with a store in a folder of its own.
pub struct Node {
    pub id: NodeId,
    pub engine: Engine,
    pub store: Store,
    pub events: broadcast::Receiver<ExchangeEvent>,
    pub stop: CancellationToken,
    pub folder: TempDir,
    net: Arc<Net>,
}

pub fn store_at(folder: &Path) -> Store {
    let models = folder.join("models");
    std::fs::create_dir_all(&models).unwrap();
    let mut config = StoreConfig::new(folder.join("store"), models);
    config.min_free = 0;
    Store::open(config).unwrap()
}

/// Times that suit a test.
pub fn config(name: &str) -> EngineConfig {
    let mut config = EngineConfig::new(id(name));
    config.planner.seed = 1;
    config.retry_after = Duration::from_millis(200);
    config
}

impl Node {
    pub fn start(net: &Arc<Net>, config: EngineConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = store_at(folder.path());
        Self::start_with(net, config, folder, store)
    }

    pub fn start_with(net: &Arc<Net>, config: EngineConfig, folder: TempDir, store: Store) -> Self {
        let node = config.node.clone();
        if config.dials_out_only {
            net.hidden.lock().unwrap().insert(node.clone());
        }
        let stop = CancellationToken::new();
        let dialer = Arc::new(From { me: node.clone(), net: Arc::clone(net) });
        let engine = Engine::start(config, Arc::new(store.clone()), dialer, stop.clone());
        net.nodes.lock().unwrap().insert(node.clone(), engine.clone());
        let events = engine.events();
        Self { id: node, engine, store, events, stop, folder, net: Arc::clone(net) }
    }

    /// Puts bytes into its store.
    pub fn ingest(&self, bytes: &[u8]) -> Blob {
        let path = self.folder.path().join("new");
        std::fs::write(&path, bytes).unwrap();
        let object = self.store.ingest(&path, None).unwrap();
        std::fs::remove_file(path).unwrap();
        self.store.blob(&object.sha256()).unwrap()
    }

    /// Waits until its progress is like that.
    pub async fn until(&self, what: &str, mut like: impl FnMut(&[Progress]) -> bool) {
        let mut progress = self.engine.progress();
        let done = timeout(LONG, progress.wait_for(|now| like(now))).await;
        let is = done.map(drop).map_err(|_| self.engine.progress().borrow().clone());
        assert_eq!(is, Ok(()), "{} is not {what}", self.id);
    }

    /// Waits until it has this blob.
    pub async fn has(&self, sha256: Digest) {
        self.until("complete", |now| {
            now.iter().any(|one| one.sha256 == sha256 && one.state == FetchState::Complete && one.have == one.of)
        })
        .await;
    }

    /// Its bytes of a blob, as the store reads them.
    pub fn bytes(&self, sha256: &Digest) -> Vec<u8> {
        let object = self.store.object(sha256).unwrap();
        let mut bytes = vec![0; object.size() as usize];
        assert_eq!(object.read_at(&mut bytes, 0).unwrap(), bytes.len());
        bytes
    }

    /// The next event like that.
    pub async fn event<T>(&mut self, mut like: impl FnMut(ExchangeEvent) -> Option<T>) -> T {
        let wanted = async {
            loop {
                if let Some(found) = like(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        timeout(LONG, wanted).await.expect("the event comes")
    }

    /// Dies without a goodbye; its folder stays.
    pub async fn die(self) -> TempDir {
        self.net.cut(&self.id);
        self.stop.cancel();
        self.engine.ended().await;
        self.folder
    }
}

/// What a file with these bytes is called.
pub fn blob(bytes: &[u8], chunk: u32) -> Blob {
    let mut hasher = BlobHasher::new(chunk);
    hasher.update(bytes);
    hasher.finish()
}

/// Bytes that do not repeat.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

pub fn members(names: &[&str]) -> Vec<(NodeId, bool)> {
    names.iter().map(|name| (id(name), false)).collect()
}
