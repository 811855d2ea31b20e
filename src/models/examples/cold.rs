//! How long is the control plane held up while models are served that are not in memory? `cold FOLDER SECONDS FILE…` stores the files,
//! serves them beside a runtime like that of the control plane, and lets a client for each file (curl) read it again and again, its
//! pages thrown out of memory before. A task on the runtime sleeps for two milliseconds at a time and writes down how late it wakes.
//! It prints that delay without and with the clients, alternating. FOLDER must lie on a disk: nothing leaves a tmpfs.

use std::{
    error::Error,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_models::{Access, Callbacks, Caller, Limits, Server, ServerConfig, Swarm, SwarmStream, Uploads, Verifier};
use ringrift_store::{Store, StoreConfig};
use rustix::fs::{Advice, fadvise};

/// Between two wakings: a beat of the watchdog is far rarer, an answer over HTTP is a few of them.
const BEAT: Duration = Duration::from_millis(2);
/// Turns of each kind, alternating.
const TURNS: u32 = 3;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Nobody;

impl Uploads for Nobody {
    fn stored(&self, _: &ModelName, _: Digest, _: &Caller) {}
}

impl Swarm for Nobody {
    fn joined(&self, _: NodeId, _: SwarmStream) {}
}

fn main() -> Outcome<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("which folder?")?);
    let seconds: u64 = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or("how many seconds?")?;
    let store = Store::open(StoreConfig::new(folder.join("store"), folder.join("models")))?;
    let mut models = Vec::new();
    for file in arguments.map(PathBuf::from) {
        let sha256 = store.ingest(&file, None)?.sha256();
        models.push((sha256, folder.join("store/objects").join(sha256.to_string())));
    }
    let address = serve(store)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let turn = Duration::from_secs(seconds) / (2 * TURNS);
    let (mut quiet, mut cold) = (Vec::new(), Vec::new());
    let (mut served, before) = (0, read_from_disk());
    for _ in 0..TURNS {
        quiet.extend(runtime.block_on(delays(turn)));
        let stop = Arc::new(AtomicBool::new(false));
        let bytes = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = models
            .iter()
            .map(|(sha256, path)| {
                let (url, path) = (format!("http://{address}/models/by-digest/{sha256}"), path.clone());
                let (stop, bytes) = (Arc::clone(&stop), Arc::clone(&bytes));
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let length = fetch_cold(&url, &path).unwrap_or_default();
                        bytes.fetch_add(length, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        cold.extend(runtime.block_on(delays(turn)));
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client failed")?;
        }
        served += bytes.load(Ordering::Relaxed);
    }
    print("quiet", &mut quiet);
    print("cold", &mut cold);
    println!("served {served} disk {}", read_from_disk().saturating_sub(before));
    Ok(())
}

/// One thread that answers, as in the daemon. It serves until the process ends.
fn serve(store: Store) -> Outcome<SocketAddr> {
    let access = Access {
        tokens: None,
        verifier: Verifier::new("bench".parse()?, Vec::new()),
        open_reads: false,
        open_uploads: false,
        own_address: Arc::new(|_| false),
    };
    let callbacks = Callbacks { uploads: Arc::new(Nobody), swarm: Arc::new(Nobody) };
    let config = ServerConfig { threads: 1, limits: Limits::default(), access };
    let handle = Server::start(vec![TcpListener::bind("127.0.0.1:0")?], store, config, callbacks)?;
    let address = handle.addresses()[0];
    // Dropped it would end.
    std::mem::forget(handle);
    Ok(address)
}

/// One download, read from the disk. Its bytes.
fn fetch_cold(url: &str, path: &Path) -> Outcome<u64> {
    let file = File::open(path)?;
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    drop(file);
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--output", "/dev/null", "--write-out", "%{size_download}", url]);
    let output = curl.stdin(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).parse()?)
}

/// How late a task of the runtime woke, each time.
async fn delays(lasting: Duration) -> Vec<Duration> {
    let beating = tokio::spawn(async move {
        let mut delays = Vec::new();
        let begun = Instant::now();
        while begun.elapsed() < lasting {
            let due = Instant::now() + BEAT;
            tokio::time::sleep_until(due.into()).await;
            delays.push(due.elapsed());
        }
        delays
    });
    beating.await.unwrap_or_default()
}

fn print(name: &str, delays: &mut [Duration]) {
    delays.sort_unstable();
    let at = |share: f64| {
        let at = (delays.len() as f64 * share) as usize;
        delays.get(at.min(delays.len().saturating_sub(1))).map_or(0.0, |delay| delay.as_secs_f64() * 1e3)
    };
    println!("{name} {:.2} {:.2} {:.2} {}", at(0.5), at(0.99), at(1.0), delays.len());
}

/// Bytes that this process had read from disks (proc(5)).
fn read_from_disk() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("read_bytes: ")?.parse().ok()).unwrap_or(0)
}
