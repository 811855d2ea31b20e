//! How fast does one node get models from another over loopback, every byte verified? All twelve, 1172 MB, beside rsync, which does
//! not verify; and one of 174 MB beside `aria2c -x4`, which does, from nginx. Rounds alternate; medians, and what they are worth.
//!
//! `cargo bench -p ringrift-exchange --bench loopback -- [FOLDER] [ROUNDS]`. What is not installed is said and left out.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ringrift_blob::Blob;
use ringrift_config::NodeId;
use ringrift_exchange::{BoxedStream, Dialer, Engine, EngineConfig, FetchState};
use ringrift_store::{Store, StoreConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Sizes of the twelve models, MB.
const SIZES: [usize; 12] = [15, 40, 60, 80, 90, 100, 100, 110, 120, 130, 153, 174];
/// Goals: seconds for all of them, and how many times as fast as aria2c for the last one.
const ALL_AMBITIOUS: f64 = 0.5;
const ARIA2: (f64, f64) = (2.0, 3.0);

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Tcp(BTreeMap<NodeId, SocketAddr>);

#[async_trait]
impl Dialer for Tcp {
    async fn dial(&self, peer: &NodeId) -> Result<BoxedStream, String> {
        let address = self.0.get(peer).ok_or("no address")?;
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Box::new(stream))
    }
}

fn main() -> Outcome<()> {
    // Cargo says that this is a benchmark.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder: std::path::PathBuf = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let rounds = arguments.next().map_or(Ok(5), |rounds| rounds.parse::<usize>());
    let (true, Ok(rounds)) = (folder.is_dir(), rounds) else {
        eprintln!("usage: cargo bench -p ringrift-exchange --bench loopback -- [FOLDER] [ROUNDS]");
        std::process::exit(2);
    };
    let folder = tempfile::tempdir_in(folder)?;
    let source = folder.path().join("source");
    std::fs::create_dir(&source)?;
    let seed = open(&folder.path().join("seed"))?;
    let mut blobs = Vec::new();
    for (at, megabytes) in SIZES.into_iter().enumerate() {
        let path = source.join(format!("{at}.pth"));
        std::fs::write(&path, noise(megabytes * 1_000_000, at as u64))?;
        let object = seed.ingest(&path, None)?;
        blobs.push(seed.blob(&object.sha256()).ok_or("not in the store")?);
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.split(' ').next().unwrap_or_default());
    let (rsync, nginx) = (opponents::rsync(&source)?, opponents::nginx(&source)?);
    let (mut all, mut one) = (Figures::default(), Figures::default());
    for round in 0..rounds {
        let target = folder.path().join(format!("target-{round}"));
        let fresh = |figures: &mut Figures, name, taken: Outcome<(f64, f64)>| -> Outcome<()> {
            figures.0.entry(name).or_default().push(taken?);
            Ok(std::fs::remove_dir_all(&target)?)
        };
        fresh(&mut all, EXCHANGE, exchange(&seed, &target, &blobs))?;
        if let Some(rsync) = &rsync {
            fresh(&mut all, RSYNC, rsync.copy(&target, false))?;
            fresh(&mut all, "rsync + sha256sum", rsync.copy(&target, true))?;
        }
        let last = &blobs[blobs.len() - 1..];
        fresh(&mut one, EXCHANGE, exchange(&seed, &target, last))?;
        if let Some(nginx) = &nginx {
            let name = format!("{}.pth", blobs.len() - 1);
            fresh(&mut one, ARIA2C, nginx.aria2c(&target, &name, &last[0].sha256.to_string()))?;
        }
    }
    let bytes: u64 = blobs.iter().map(|blob| blob.size).sum();
    println!("{:.0} MB in {} blobs", bytes as f64 / 1e6, blobs.len());
    all.print(bytes);
    all.judge_all();
    println!("one of {} MB", SIZES[SIZES.len() - 1]);
    one.print(blobs[blobs.len() - 1].size);
    one.judge_one();
    Ok(())
}

const EXCHANGE: &str = "exchange, verified";
const RSYNC: &str = "rsync, unverified";
const ARIA2C: &str = "aria2c -x4, verified";

/// Of each program, each round: seconds, and CPU seconds if they are known.
#[derive(Default)]
struct Figures(BTreeMap<&'static str, Vec<(f64, f64)>>);

impl Figures {
    fn median(&self, name: &str) -> Option<(f64, f64)> {
        let mut figures = self.0.get(name)?.clone();
        figures.sort_by(|a, b| a.0.total_cmp(&b.0));
        figures.get(figures.len() / 2).copied()
    }

    fn print(&self, bytes: u64) {
        for (name, figures) in &self.0 {
            let Some((seconds, cpu)) = self.median(name) else { continue };
            let best = figures.iter().map(|figure| figure.0).fold(f64::INFINITY, f64::min);
            let worst = figures.iter().map(|figure| figure.0).fold(0.0, f64::max);
            let cpu = if cpu.is_nan() {
                String::new()
            } else {
                format!(", {:.2} CPU s per GB at both ends", cpu / bytes as f64 * 1e9)
            };
            let rate = bytes as f64 / 1e6 / seconds;
            println!("  {name:20} {seconds:.2} s ({best:.2} to {worst:.2}), {rate:.0} MB/s{cpu}");
        }
    }

    fn judge_all(&self) {
        let (Some((ours, cpu)), Some((theirs, _))) = (self.median(EXCHANGE), self.median(RSYNC)) else { return };
        let cores = std::thread::available_parallelism().map_or(1, Into::into) as f64;
        let verdict = if ours <= ALL_AMBITIOUS {
            "ambitious target reached".to_owned()
        } else if ours <= theirs {
            "target reached".to_owned()
        } else {
            format!("MISS: the CPU alone is {:.2} s on {cores} cores", cpu / cores)
        };
        println!("  {:.2} of rsync's time (must 1, ambitious {ALL_AMBITIOUS} s): {verdict}", ours / theirs);
    }

    fn judge_one(&self) {
        let (Some((ours, cpu)), Some((theirs, _))) = (self.median(EXCHANGE), self.median(ARIA2C)) else { return };
        let (must, ambitious) = ARIA2;
        let times = theirs / ours;
        let verdict = if times >= ambitious {
            "ambitious target reached".to_owned()
        } else if times >= must {
            "target reached".to_owned()
        } else {
            format!("MISS: {cpu:.2} s of CPU at both ends, {:.2} s of {ours:.2} s are waiting", (ours - cpu).max(0.0))
        };
        println!("  {times:.1} times as fast as aria2c (must {must}, ambitious {ambitious}): {verdict}");
    }
}

/// Seconds, and CPU seconds of both ends.
fn exchange(seed: &Store, target: &Path, blobs: &[Blob]) -> Outcome<(f64, f64)> {
    let target = open(target)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figure = runtime.block_on(async {
        let (a, b): (NodeId, NodeId) = ("a".parse()?, "b".parse()?);
        let members = vec![(a.clone(), false), (b.clone(), false)];
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let book = Arc::new(Tcp([(a.clone(), listener.local_addr()?)].into()));
        let sending =
            Engine::start(EngineConfig::new(a), Arc::new(seed.clone()), Arc::new(Tcp(BTreeMap::new())), stop.clone());
        sending.set_members(members.clone());
        sending.set_wanted(blobs.to_vec());
        until_complete(&sending, blobs.len()).await?;
        let accepting = sending.clone();
        let from = b.clone();
        let accept = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                accepting.accept(from.clone(), stream);
            }
        });
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let taking = Engine::start(EngineConfig::new(b), Arc::new(target), book, stop.clone());
        taking.set_members(members);
        taking.set_wanted(blobs.to_vec());
        until_complete(&taking, blobs.len()).await?;
        let figure = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        stop.cancel();
        accept.abort();
        sending.ended().await;
        taking.ended().await;
        Ok::<_, Box<dyn Error>>(figure)
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    figure
}

async fn until_complete(engine: &Engine, count: usize) -> Outcome<()> {
    let mut progress = engine.progress();
    let complete =
        progress.wait_for(|now| now.len() == count && now.iter().all(|blob| blob.state == FetchState::Complete));
    complete.await?;
    Ok(())
}

fn open(folder: &Path) -> Outcome<Store> {
    let models = folder.join("models");
    std::fs::create_dir_all(&models)?;
    Ok(Store::open(StoreConfig::new(folder.join("store"), models))?)
}

/// The programs that it is compared with.
mod opponents {
    use super::{Child, Command, Duration, Instant, Outcome, Path, Stdio};

    /// A server, until it is dropped.
    pub(super) struct Server {
        child: Child,
        port: u16,
    }

    impl Server {
        fn start(mut command: Command, port: u16) -> Outcome<Self> {
            let child = command.stdin(Stdio::null()).spawn()?;
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(Self { child, port })
        }

        /// Everything by rsync, and hashed afterwards if so wished.
        pub(super) fn copy(&self, target: &Path, verify: bool) -> Outcome<(f64, f64)> {
            std::fs::create_dir(target)?;
            let start = Instant::now();
            let url = format!("rsync://127.0.0.1:{}/m/", self.port);
            succeed(Command::new("rsync").args(["-a", "--whole-file", &url]).arg(target))?;
            if verify {
                let names = std::fs::read_dir(target)?.collect::<Result<Vec<_>, _>>()?;
                succeed(
                    Command::new("sha256sum").args(names.iter().map(std::fs::DirEntry::path)).stdout(Stdio::null()),
                )?;
            }
            Ok((start.elapsed().as_secs_f64(), f64::NAN))
        }

        /// One file by aria2c, four connections, its digest checked.
        pub(super) fn aria2c(&self, target: &Path, name: &str, sha256: &str) -> Outcome<(f64, f64)> {
            std::fs::create_dir(target)?;
            let start = Instant::now();
            let mut aria2c = Command::new("aria2c");
            aria2c.args(["-x4", "-s4", "--quiet", "--file-allocation=none", "--check-integrity=true"]);
            aria2c.arg(format!("--checksum=sha-256={sha256}")).arg("--dir").arg(target);
            succeed(aria2c.arg(format!("http://127.0.0.1:{}/{name}", self.port)))?;
            Ok((start.elapsed().as_secs_f64(), f64::NAN))
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            // nginx ends its worker when it is asked to, not when it is killed.
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }

    pub(super) fn rsync(source: &Path) -> Outcome<Option<Server>> {
        if is_missing("rsync") {
            return Ok(None);
        }
        let port = free_port()?;
        let config = source.with_file_name("rsyncd.conf");
        // As who runs it: the folder is nobody else's.
        std::fs::write(&config, format!("use chroot = no\nuid = {}\n[m]\npath = {}\n", uid(), source.display()))?;
        let mut daemon = Command::new("rsync");
        daemon.args(["--daemon", "--no-detach", "--address=127.0.0.1", &format!("--port={port}"), "--config"]);
        daemon.arg(config);
        Server::start(daemon, port).map(Some)
    }

    pub(super) fn nginx(source: &Path) -> Outcome<Option<Server>> {
        if is_missing("nginx") || is_missing("aria2c") {
            return Ok(None);
        }
        let port = free_port()?;
        let (config, folder) = (source.with_file_name("nginx.conf"), source.parent().ok_or("no folder")?.display());
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {folder}/nginx-{kind};"))
            .join(" ");
        let user = if uid() == 0 { "user root; " } else { "" };
        let text = format!(
            "daemon off; worker_processes 1; {user}pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ sendfile on; tcp_nopush on; access_log off; root {}; {temporary}\n\
             server {{ listen 127.0.0.1:{port}; }} }}\n",
            source.display()
        );
        std::fs::write(&config, text)?;
        let mut nginx = Command::new("nginx");
        nginx.arg("-c").arg(config).arg("-p").arg(folder.to_string());
        Server::start(nginx, port).map(Some)
    }

    fn uid() -> u32 {
        rustix::process::getuid().as_raw()
    }

    fn is_missing(program: &str) -> bool {
        let missing = Command::new(program).arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
        if missing {
            println!("{program} is not installed: no comparison with it");
        }
        missing
    }

    fn free_port() -> Outcome<u16> {
        Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
    }

    fn succeed(command: &mut Command) -> Outcome<()> {
        let status = command.status()?;
        if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
    }
}

/// CPU time of this process: fields 14 and 15 of `/proc/self/stat` (proc(5)), in ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Bytes that do not repeat.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
