//! A server on a free port with a store in a temporary folder, and a client that shows exactly what went over the connection.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use ringrift_blob::{Digest, ModelName};
use ringrift_config::{NodeId, Token, Tokens};
use ringrift_models::{
    Access, Callbacks, Caller, Handle, Limits, Server, ServerConfig, Signer, SigningKey, Swarm, SwarmStream, Uploads,
    Verifier,
};
use ringrift_store::{Object, Seams, Store, StoreConfig};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const NAME: &str = "canonical_hex8_2p.pth";

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) handle: Handle,
    pub(crate) address: SocketAddr,
    pub(crate) heard: Arc<Heard>,
}

/// What the server told.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) uploads: Mutex<Vec<(ModelName, Digest, Caller)>>,
    pub(crate) joined: Mutex<Vec<(NodeId, SwarmStream)>>,
}

impl Uploads for Heard {
    fn stored(&self, name: &ModelName, sha256: Digest, by: &Caller) {
        self.uploads.lock().unwrap().push((name.clone(), sha256, by.clone()));
    }
}

impl Swarm for Heard {
    fn joined(&self, node: NodeId, stream: SwarmStream) {
        self.joined.lock().unwrap().push((node, stream));
    }
}

/// What differs from test to test.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) open_reads: bool,
    pub(crate) open_uploads: bool,
    pub(crate) own: fn(IpAddr) -> bool,
    pub(crate) seams: Seams,
    pub(crate) threads: usize,
    pub(crate) tokens: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            open_reads: false,
            open_uploads: false,
            own: |_| true,
            seams: Seams::default(),
            threads: 1,
            tokens: true,
        }
    }
}

pub(crate) fn node(name: &str) -> NodeId {
    name.parse().unwrap()
}

pub(crate) fn signer(name: &str) -> Signer {
    Signer::new(node(name), SigningKey::derive(SECRET.as_bytes()))
}

impl Rig {
    pub(crate) fn new() -> Self {
        Setup::default().start()
    }

    /// Whoever asks may read.
    pub(crate) fn open() -> Self {
        Setup { open_reads: true, ..Setup::default() }.start()
    }

    pub(crate) fn publish(&self, name: &str, bytes: &[u8]) -> Arc<Object> {
        let file = self.dir.path().join("incoming");
        std::fs::write(&file, bytes).unwrap();
        let object = self.store.ingest(&file, None).unwrap();
        self.store.publish(&name.parse().unwrap(), &object.sha256()).unwrap();
        object
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.dir.path().join("models")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, b"")
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(self.address, method, path, headers, body).unwrap()
    }
}

impl Setup {
    pub(crate) fn start(self) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(dir.path().join("store"), dir.path().join("models"));
        config.min_free = 0;
        let store = Store::open_with(config, self.seams).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The standard library's 128 would make hundreds of clients at once wait for a second SYN.
        rustix::net::listen(&listener, 4096).unwrap();
        let token = Token::parse(SECRET).unwrap();
        let access = Access {
            tokens: self.tokens.then_some(Tokens { primary: token, old: None }),
            verifier: Verifier::new(node("server"), vec![SigningKey::derive(SECRET.as_bytes())]),
            open_reads: self.open_reads,
            open_uploads: self.open_uploads,
            own_address: Arc::new(self.own),
        };
        let heard = Arc::new(Heard::default());
        let callbacks = Callbacks { uploads: heard.clone(), swarm: heard.clone() };
        let config = ServerConfig { threads: self.threads, limits: self.limits, access };
        let handle = Server::start(vec![listener], store.clone(), config, callbacks).unwrap();
        let address = handle.addresses()[0];
        Rig { dir, store, handle, address, heard }
    }
}

/// An answer, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// Whether the connection ended before all announced bytes were there.
    pub(crate) broken: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {:?}", String::from_utf8_lossy(&self.body)))
    }
}

/// One request on a connection of its own.
pub(crate) fn ask(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    write!(head, "{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n")?;
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n")?;
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len())?;
    }
    head.extend_from_slice(b"\r\n");
    socket.write_all(&head)?;
    // A server that does not want the body may close before it has come whole.
    let _ = socket.write_all(body);
    answer(&mut socket, method)
}

/// Reads one answer.
pub(crate) fn answer(socket: &mut impl Read, method: &str) -> io::Result<Answer> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no answer"));
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = BTreeMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = name.to_lowercase();
        headers.entry(name).and_modify(|all: &mut String| *all = format!("{all}, {value}")).or_insert(value.to_owned());
    }
    let length = headers.get("content-length").map(|length| length.parse::<usize>().unwrap());
    let expected = if method == "HEAD" || status == 304 || status == 101 { 0 } else { length.unwrap_or(0) };
    let mut body = Vec::with_capacity(expected.min(1 << 20));
    let read = socket.take(expected as u64).read_to_end(&mut body);
    let broken = read.is_err() || body.len() < expected;
    Ok(Answer { status, headers, body, broken })
}

/// The parts of a multipart/byteranges answer: range and bytes.
pub(crate) fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let kind = answer.header("content-type").unwrap();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{kind}"));
    let mut parts = Vec::new();
    let mut rest = &answer.body[..];
    let opening = format!("\r\n--{boundary}\r\n");
    while let Some(part) = rest.strip_prefix(opening.as_bytes()) {
        let end = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(part[..end].to_vec()).unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("Content-Range: bytes ")).unwrap().to_owned();
        let (span, _) = range.split_once('/').unwrap();
        let (first, last) = span.split_once('-').unwrap();
        let length = last.parse::<usize>().unwrap() - first.parse::<usize>().unwrap() + 1;
        parts.push((range, part[end + 4..end + 4 + length].to_vec()));
        rest = &part[end + 4 + length..];
    }
    assert_eq!(rest, format!("\r\n--{boundary}--\r\n").as_bytes());
    parts
}

/// Bytes that do not repeat.
pub(crate) fn sample(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Waits for a condition.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A program that the test needs. `tests/run` installs it; without it the test says so and ends.
pub(crate) fn tool(name: &str) -> Option<Command> {
    let found = std::env::var_os("PATH").is_some_and(|paths| {
        std::env::split_paths(&paths).chain(["/usr/sbin".into()]).any(|folder| folder.join(name).is_file())
    });
    if !found {
        eprintln!("SKIPPED: {name} is not installed; `tests/run unit` installs it");
        assert!(std::env::var_os("CI").is_none(), "{name} must be installed in CI");
        return None;
    }
    Some(Command::new(name))
}

/// A part of a form: name, filename, headers, content.
pub(crate) type FormPart<'a> = (&'a str, Option<&'a str>, &'a str, &'a [u8]);

/// A multipart/form-data body and its content type.
pub(crate) fn form(parts: &[FormPart<'_>]) -> (String, Vec<u8>) {
    let boundary = "------------------------d74496d66958873e";
    let mut body = Vec::new();
    for (name, filename, headers, content) in parts {
        write!(body, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"").unwrap();
        if let Some(filename) = filename {
            write!(body, "; filename=\"{filename}\"").unwrap();
        }
        write!(body, "\r\n{headers}\r\n").unwrap();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    write!(body, "--{boundary}--\r\n").unwrap();
    (format!("multipart/form-data; boundary={boundary}"), body)
}
