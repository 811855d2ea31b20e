//! One node of a measurement: `tests/bench/swarm.py` starts many of them, each in a network namespace of its own.
//!
//! `swarm_node swarm ID FOLDER FILE CHUNK seed|node|liar MEMBERS` takes part in a swarm. MEMBERS has a line `id address` for each node. It
//! says `ready`; when a line comes on its input it wants the file, and says `first`, `half` and `done` as it arrives, each with its
//! seconds; `done` also says how many verified bytes came from each node. It serves until its input ends. A liar says that it has the
//! file, and sends other bytes.
//!
//! `swarm_node idle FOLDER FILE…` takes models in, is started again, and says what doing nothing costs.
//!
//! Streams carry the id of who dials and nothing else before the exchange begins: who may join is not what is measured.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ringrift_blob::{Blob, BlobHasher, CHUNK, Digest};
use ringrift_config::NodeId;
use ringrift_exchange::{
    BoxedStream, Dialer, Engine, EngineConfig, ExchangeEvent, FetchState, Opened, Storage, StorageError, Supply,
};
use ringrift_store::{Store, StoreConfig};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

const PORT: u16 = 8767;
/// Bytes not yet sent above which a socket takes no more, as in the server of models.
const UNSENT: u32 = 64 << 10;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Tcp {
    me: NodeId,
    book: BTreeMap<NodeId, SocketAddr>,
}

#[async_trait]
impl Dialer for Tcp {
    async fn dial(&self, peer: &NodeId) -> Result<BoxedStream, String> {
        let address = self.book.get(peer).ok_or("no address")?;
        let stream = async {
            let mut stream = TcpStream::connect(address).await?;
            tune(&stream)?;
            stream.write_all(format!("{}\n", self.me).as_bytes()).await?;
            Ok::<_, std::io::Error>(stream)
        };
        Ok(Box::new(stream.await.map_err(|error| error.to_string())?))
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // One thread, as the server of models has.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match arguments.as_slice() {
        ["swarm", id, folder, file, chunk, role, members] => {
            let blob = describe(Path::new(file), chunk.parse()?)?;
            let members = std::fs::read_to_string(members)?;
            runtime.block_on(swarm(id.parse()?, Path::new(folder), Path::new(file), blob, role, &members))
        }
        ["idle", folder, files @ ..] => runtime.block_on(idle(Path::new(folder), files)),
        _ => Err("see the head of this file".into()),
    }
}

async fn swarm(me: NodeId, folder: &Path, file: &Path, blob: Blob, role: &str, members: &str) -> Outcome<()> {
    let storage: Arc<dyn Storage> = if role == "liar" {
        Arc::new(Lies)
    } else {
        let store = open(folder)?;
        if role == "seed" {
            store.ingest(file, Some(blob.sha256))?;
        }
        Arc::new(store)
    };
    let mut book = BTreeMap::new();
    for line in members.lines() {
        let (id, address) = line.split_once(' ').ok_or("a member without an address")?;
        book.insert(id.parse::<NodeId>()?, SocketAddr::new(address.parse()?, PORT));
    }
    let everybody = book.keys().map(|id| (id.clone(), false)).collect();
    let listener = TcpListener::bind((book[&me].ip(), PORT)).await?;
    let stop = CancellationToken::new();
    let dialer = Arc::new(Tcp { me: me.clone(), book });
    let name = me.to_string();
    let engine = Engine::start(EngineConfig::new(me), storage, dialer, stop.clone());
    let accepting = tokio::spawn(accept(listener, engine.clone()));
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    println!("ready");
    if input.next_line().await?.is_some() {
        let start = Instant::now();
        let mut events = engine.events();
        engine.set_wanted(vec![blob.clone()]);
        engine.set_members(everybody);
        let watching = tokio::spawn(watch(engine.clone(), start));
        if role == "node" {
            tokio::select! {
                sources = fetched(&mut events) => println!("done {:.3} {}", start.elapsed().as_secs_f64(), sources?),
                // Nobody waits any longer.
                _ = input.next_line() => eprintln!("{name} is not done: {:?}", *engine.progress().borrow()),
            }
        }
        watching.abort();
        while input.next_line().await?.is_some() {}
    }
    stop.cancel();
    engine.ended().await;
    accepting.abort();
    Ok(())
}

/// Has every file, and of none the right bytes.
struct Lies;

impl Storage for Lies {
    fn open(&self, _: &Blob) -> Result<Opened, StorageError> {
        Ok(Opened::Whole(Arc::new(Self)))
    }

    fn discard(&self, _: &Digest) {}
}

impl Supply for Lies {
    fn read(&self, chunk: u32, into: &mut [u8]) -> std::io::Result<()> {
        into.fill(chunk.to_le_bytes()[0]);
        Ok(())
    }
}

/// Waits until the blob is here. From whom it came, as `node=bytes`.
async fn fetched(events: &mut broadcast::Receiver<ExchangeEvent>) -> Outcome<String> {
    loop {
        match events.recv().await? {
            ExchangeEvent::Fetched { by_peer, .. } => {
                let sources: Vec<String> = by_peer.iter().map(|(peer, bytes)| format!("{peer}={bytes}")).collect();
                return Ok(sources.join(" "));
            }
            other => println!("event {other:?}"),
        }
    }
}

/// Tells when the first bytes are here, and half of them.
async fn watch(engine: Engine, start: Instant) {
    let mut progress = engine.progress();
    for (name, share) in [("first", 0), ("half", 2)] {
        let reached = progress.wait_for(|blobs| {
            blobs.iter().any(|blob| blob.have > 0 && blob.have * share >= blob.of * u64::from(share > 0))
        });
        if reached.await.is_ok() {
            println!("{name} {:.3}", start.elapsed().as_secs_f64());
        }
    }
}

async fn accept(listener: TcpListener, engine: Engine) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let _ = tune(&stream);
        let engine = engine.clone();
        tokio::spawn(async move {
            let mut id = String::new();
            loop {
                match stream.read_u8().await {
                    Ok(b'\n') => break,
                    Ok(byte) if id.len() < NodeId::MAX_LEN => id.push(char::from(byte)),
                    _ => return,
                }
            }
            if let Ok(id) = id.parse() {
                engine.accept(id, stream);
            }
        });
    }
}

async fn idle(folder: &Path, files: &[&str]) -> Outcome<()> {
    let mut blobs = Vec::new();
    {
        let store = open(folder)?;
        for file in files {
            let blob = describe(Path::new(file), CHUNK)?;
            store.ingest(Path::new(file), Some(blob.sha256))?;
            blobs.push(blob);
        }
        // The store believes no file that changed within the last two seconds; later it is settled, by what the daemon does each second.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for _ in 0..2 * files.len() {
            store.tend(Instant::now())?;
        }
    }
    let me: NodeId = "n01".parse()?;
    let dialer = Arc::new(Tcp { me: me.clone(), book: BTreeMap::new() });
    let stop = CancellationToken::new();
    let before = Used::now();
    let store = open(folder)?;
    let engine = Engine::start(EngineConfig::new(me), Arc::new(store), dialer, stop.clone());
    engine.set_wanted(blobs.clone());
    until_complete(&engine, blobs.len()).await?;
    before.print("start");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Used::now();
    engine.set_wanted(blobs.clone());
    let mut progress = engine.progress();
    progress.mark_unchanged();
    progress.changed().await?;
    before.print("again");
    let before = Used::now();
    tokio::time::sleep(Duration::from_secs(10)).await;
    before.print("idle");
    stop.cancel();
    engine.ended().await;
    Ok(())
}

async fn until_complete(engine: &Engine, count: usize) -> Outcome<()> {
    let mut progress = engine.progress();
    let complete =
        progress.wait_for(|now| now.len() == count && now.iter().all(|blob| blob.state == FetchState::Complete));
    complete.await?;
    Ok(())
}

/// What this process used so far.
struct Used {
    at: Instant,
    cpu: f64,
    read: u64,
}

impl Used {
    fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok()).unwrap_or(0);
        Self { at: Instant::now(), cpu, read }
    }

    /// Milliseconds that passed, milliseconds of CPU, bytes that were read, those of this reading included.
    fn print(&self, what: &str) {
        let now = Self::now();
        let milliseconds = (now.at - self.at).as_secs_f64() * 1e3;
        println!("{what} {milliseconds:.1} {:.2} {}", (now.cpu - self.cpu) * 1e3, now.read - self.read);
    }
}

/// As the server of models does for the swarm.
fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)
}

fn describe(file: &Path, chunk: u32) -> Outcome<Blob> {
    let mut hasher = BlobHasher::new(chunk);
    hasher.update(&std::fs::read(file)?);
    Ok(hasher.finish())
}

fn open(folder: &Path) -> Outcome<Store> {
    let models = folder.join("models");
    std::fs::create_dir_all(&models)?;
    Ok(Store::open(StoreConfig::new(folder.join("store"), models))?)
}
