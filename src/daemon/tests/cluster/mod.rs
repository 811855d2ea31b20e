//! A cluster of real processes for tests: its own loopback addresses, the real port numbers, everything ended and removed
//! at the end.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it, as a module of its own")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fmt::Write as _,
    fs::{self, File},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use ringrift_api::{Client, Status};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The token of every test cluster.
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Far above what anything here takes on a busy machine: it is there so that a failure ends.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Time for one answer. A daemon may be starved for seconds while others build.
const ANSWER: Duration = Duration::from_secs(30);

/// A cluster whose nodes are called `n1`, `n2`, …; the first `voters` of them vote.
pub struct Cluster {
    pub dir: TempDir,
    pub nodes: Vec<Node>,
    voters: usize,
}

/// One node and, while it runs, its process.
pub struct Node {
    pub name: String,
    pub ip: IpAddr,
    pub dir: PathBuf,
    pub extra: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// A program and its arguments that becomes the daemon, for example `unshare`.
    pub wrapper: Vec<String>,
    child: Option<Child>,
}

impl Cluster {
    /// Writes the files of a cluster; starts nothing.
    pub fn new(voters: usize, workers: usize) -> Self {
        Self::with_hosts(voters, workers, |_| String::new())
    }

    /// The same, with more lines for each host, indented by four spaces.
    pub fn with_hosts(voters: usize, workers: usize, more: impl Fn(&str) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nodes: Vec<Node> = (1..=voters + workers)
            .map(|i| {
                let name = format!("n{i}");
                let node_dir = dir.path().join(&name);
                fs::create_dir_all(&node_dir).unwrap();
                Node {
                    name,
                    ip: own_address(),
                    dir: node_dir,
                    extra: Vec::new(),
                    environment: Vec::new(),
                    wrapper: Vec::new(),
                    child: None,
                }
            })
            .collect();
        fs::write(dir.path().join("token"), TOKEN).unwrap();
        fs::write(
            dir.path().join("settings.yaml"),
            "heartbeat: 50ms\nelection_timeout_min: 200ms\nelection_timeout_max: 400ms\n",
        )
        .unwrap();
        let cluster = Self { dir, nodes, voters };
        let text = cluster.hosts_text(&(1..=voters).map(|i| format!("n{i}")).collect::<Vec<_>>(), more);
        cluster.write_hosts(&text);
        cluster
    }

    /// The same cluster with the timers that daemons have by default: what a leader judges by its own clock, it judges in peace then,
    /// however busy the machine is.
    pub fn unhurried(self) -> Self {
        fs::write(self.dir.path().join("settings.yaml"), "{}\n").unwrap();
        self
    }

    /// The hosts file with these voters.
    pub fn hosts_text(&self, voters: &[String], more: impl Fn(&str) -> String) -> String {
        let mut text = format!("p2p_voters: [{}]\nhosts:\n", voters.join(", "));
        for node in &self.nodes {
            let _ = write!(
                text,
                "  {}:\n    ssh_host: {}\n    status: ready\n    role: selfplay\n    max_parallel_jobs: 4\n{}",
                node.name,
                node.ip,
                more(&node.name)
            );
        }
        text
    }

    pub fn hosts_file(&self) -> PathBuf {
        self.dir.path().join("hosts.yaml")
    }

    pub fn write_hosts(&self, text: &str) {
        fs::write(self.hosts_file(), text).unwrap();
    }

    /// Starts every node.
    pub fn start(&mut self) {
        for i in 0..self.nodes.len() {
            self.start_node(i);
        }
    }

    pub fn start_node(&mut self, index: usize) {
        let (hosts, settings, token) =
            (self.hosts_file(), self.dir.path().join("settings.yaml"), self.dir.path().join("token"));
        let node = &mut self.nodes[index];
        assert!(node.child.is_none(), "{} runs already", node.name);
        let log = File::options().create(true).append(true).open(node.dir.join("log")).unwrap();
        let program = daemon_program();
        let mut words = node.wrapper.iter().map(String::as_str).chain([program.as_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RINGRIFT_") {
                command.env_remove(name);
            }
        }
        command
            .args(["run", "--stop-on-eof", "--node-id", &node.name])
            .arg("--hosts")
            .arg(hosts)
            .arg("--settings")
            .arg(settings)
            .arg("--token-file")
            .arg(token)
            .arg("--state-dir")
            .arg(&node.dir)
            .args(["--bind-addr", &node.ip.to_string(), "--advertise-host", &node.ip.to_string()])
            .args(&node.extra)
            .envs(node.environment.iter().cloned())
            // Closed when this process ends, however it ends: no node outlives its test.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log);
        node.child = Some(command.spawn().unwrap());
    }

    /// SIGKILL.
    pub fn kill(&mut self, index: usize) {
        let mut child = self.nodes[index].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal by name, for example `STOP`.
    pub fn signal(&self, index: usize, name: &str) {
        let pid = self.pid(index).to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn pid(&self, index: usize) -> u32 {
        self.nodes[index].child.as_ref().unwrap().id()
    }

    /// SIGTERM, and waits for the end. Returns the exit code.
    pub fn terminate(&mut self, index: usize) -> Option<i32> {
        self.signal(index, "TERM");
        let mut child = self.nodes[index].child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "n{} did not stop", index + 1);
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits for a node to end by itself.
    pub async fn exit_code(&mut self, index: usize) -> Option<i32> {
        let child = self.nodes[index].child.as_mut().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "n{} goes on", index + 1);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether a node that was started has ended by itself; it counts as stopped from then on.
    pub fn has_ended(&mut self, index: usize) -> bool {
        let child = &mut self.nodes[index].child;
        let ended = child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
        if ended {
            *child = None;
        }
        ended
    }

    pub fn is_running(&self, index: usize) -> bool {
        self.nodes[index].child.is_some()
    }

    pub fn url(&self, index: usize) -> String {
        format!("http://{}:8770", self.nodes[index].ip)
    }

    /// A client without a token.
    pub fn client(&self, index: usize) -> Client {
        Client::new(&self.url(index), None).unwrap().with_timeout(ANSWER)
    }

    /// A client with the token.
    pub fn operator(&self, index: usize) -> Client {
        Client::new(&self.url(index), Some(TOKEN.to_owned())).unwrap().with_timeout(ANSWER)
    }

    /// One request, with or without the token: its status and its body, whatever they are.
    pub async fn raw(&self, index: usize, token: bool, method: &str, path: &str, body: &[u8]) -> (u16, Bytes) {
        let answer = self.answer(index, token, method, path, body).await;
        (answer.status().as_u16(), answer.into_body())
    }

    /// The same with the headers.
    pub async fn answer(
        &self,
        index: usize,
        token: bool,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> http::Response<Bytes> {
        let socket = tokio::net::TcpStream::connect((self.nodes[index].ip, 8770)).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path).header("host", "test");
        if token {
            request = request.header("x-ringrift-auth", TOKEN);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    pub async fn status(&self, index: usize) -> Option<Status> {
        self.client(index).get_json("/status").await.ok()
    }

    /// Waits until every running node names one leader and sees all other running nodes alive. Returns its index.
    pub async fn formed(&self) -> usize {
        let running: Vec<usize> = (0..self.nodes.len()).filter(|i| self.is_running(*i)).collect();
        self.until("the cluster to form", async || {
            let mut leader = None;
            for i in &running {
                let status = self.status(*i).await?;
                let named = status.leader_id?;
                let voters = &status.voter_health.voter_status;
                if *leader.get_or_insert(named.clone()) != named
                    || status.alive_peers as usize + 1 != running.len()
                    || voters.values().any(|voter| voter.alive && !voter.votes)
                {
                    return None;
                }
            }
            self.index_of(leader?.as_str())
        })
        .await
    }

    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|n| n.name == name)
    }

    /// Asks again and again until there is an answer; panics with the nodes' logs after [`PATIENCE`].
    pub async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            if Instant::now() > deadline {
                self.print_logs();
                panic!("waited {} s for {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self, index: usize) -> String {
        fs::read_to_string(self.nodes[index].dir.join("log")).unwrap_or_default()
    }

    pub fn print_logs(&self) {
        for (i, node) in self.nodes.iter().enumerate() {
            let log = self.log(i);
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- {} ({})", node.name, node.ip);
            for line in tail.into_iter().rev() {
                eprintln!("{line}");
            }
        }
    }

    pub fn voters(&self) -> usize {
        self.voters
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(child) = &mut node.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        end_jobs(self.dir.path());
    }
}

/// Ends what killed daemons left running: their jobs, and the shims of those, which all carry a path of this cluster's own
/// directory.
fn end_jobs(dir: &Path) {
    let mark = format!("{}/", dir.display());
    let marked = |bytes: Vec<u8>| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
    for process in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw) else {
            continue;
        };
        let has = |file: &str| fs::read(process.path().join(file)).is_ok_and(marked);
        if pid != rustix::process::getpid() && (has("cmdline") || has("environ")) {
            // It may have ended in between; that is what is wanted.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The daemon that was built with the test. Where the test was brought to another machine `TEST_DAEMON` says what runs there.
fn daemon_program() -> String {
    std::env::var("TEST_DAEMON").unwrap_or_else(|_| env!("CARGO_BIN_EXE_ringrift-p2p").to_owned())
}

/// A loopback address that no other test uses: two bytes from the process id, one counted.
pub fn own_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    // 127.0.x.y belongs to development clusters; the last byte is never 0 or 255.
    let second = 64 + high % 128;
    IpAddr::from([127, second, low, u8::try_from(next % 253 + 1).unwrap()])
}
