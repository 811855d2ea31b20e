use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ringrift_config::{Host, NodeId};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::{Fault, Unreached, control, quoted};

/// Runs commands on hosts of the hosts file.
#[derive(Debug)]
pub struct Ssh {
    program: PathBuf,
    login: Duration,
    host_keys: HostKeys,
    only_key: Option<PathBuf>,
    more_keys: Vec<PathBuf>,
    control: Option<PathBuf>,
    /// The endpoint of each host that answered last, by its place among the host's endpoints.
    answered: Mutex<HashMap<NodeId, usize>>,
}

/// Which host keys are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostKeys {
    /// Those that somebody has vouched for, whatever `~/.ssh/config` says.
    Known,
    /// Of a host that has none yet, the one that it shows; ssh records it.
    AcceptNew,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its exit status, from 0 to 254.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// A command that runs on a node.
#[derive(Debug)]
pub struct Session {
    child: Child,
    out: BufReader<ChildStdout>,
    said: Arc<Mutex<Vec<u8>>>,
}

/// Stands before what a command says: until it comes, nobody is logged in; what came before it, a login script said.
const MARK: &str = "ringrift-logged-in";
/// No command here says more; a wrong one may.
const MOST: u64 = 64 << 20;
/// How long standard error may stay open after ssh has ended: a shared connection of an old ssh holds it.
const LEFT_OPEN: Duration = Duration::from_millis(300);

impl Ssh {
    /// By this program; `login` is how long one endpoint may take until the command runs there.
    pub fn new(program: &Path, login: Duration) -> Self {
        Self {
            program: program.to_owned(),
            login,
            host_keys: HostKeys::Known,
            only_key: None,
            more_keys: Vec::new(),
            control: None,
            answered: Mutex::default(),
        }
    }

    /// The same, with connections that following commands use again for a minute, where a private folder can be had for them.
    #[must_use]
    pub fn sharing_connections(mut self) -> Self {
        self.control = control::folder();
        self
    }

    /// The same, accepting other host keys.
    #[must_use]
    pub fn accepting(mut self, host_keys: HostKeys) -> Self {
        self.host_keys = host_keys;
        self
    }

    /// The same, with this private key alone: no agent, and no other key.
    #[must_use]
    pub fn with_only(mut self, key: &Path) -> Self {
        self.only_key = Some(key.to_owned());
        self
    }

    /// The same, trying these private keys too: once a host names a key, ssh leaves its usual ones out.
    #[must_use]
    pub fn trying(mut self, keys: Vec<PathBuf>) -> Self {
        self.more_keys = keys;
        self
    }

    /// Runs a script of POSIX shell, at the first endpoint of the host where that is possible.
    pub async fn run(&self, host: &Host, script: &str) -> Result<Ran, Unreached> {
        self.run_fed(host, script, "").await
    }

    /// The same with something to read on standard input.
    pub async fn run_fed(&self, host: &Host, script: &str, input: impl AsRef<[u8]>) -> Result<Ran, Unreached> {
        let (place, mut session) = self.begin(host, script).await?;
        let ran = async {
            session.feed(input.as_ref()).await;
            session.finish().await
        };
        ran.await.map_err(|fault| {
            let (address, port) = host.ssh_endpoints().swap_remove(place);
            Unreached { tried: vec![(address, port, fault)] }
        })
    }

    /// Runs a script whose output is read line by line, as it comes.
    pub async fn stream(&self, host: &Host, script: &str) -> Result<Session, Unreached> {
        let (_, mut session) = self.begin(host, script).await?;
        session.close_input();
        Ok(session)
    }

    /// Runs a script at one endpoint.
    pub async fn run_at(&self, host: &Host, endpoint: &(String, u16), script: &str) -> Result<Ran, Fault> {
        self.run_fed_at(host, endpoint, script, "").await
    }

    /// The same with something to read on standard input.
    pub async fn run_fed_at(
        &self,
        host: &Host,
        endpoint: &(String, u16),
        script: &str,
        input: impl AsRef<[u8]>,
    ) -> Result<Ran, Fault> {
        let mut session = self.log_in(host, endpoint, script).await?;
        session.feed(input.as_ref()).await;
        session.finish().await
    }

    /// Logs in at the endpoint that answered last, or else at each in turn.
    async fn begin(&self, host: &Host, script: &str) -> Result<(usize, Session), Unreached> {
        let endpoints = host.ssh_endpoints();
        let last = self.answered.lock().unwrap_or_else(PoisonError::into_inner).get(&host.id).copied();
        let mut order: Vec<usize> = (0..endpoints.len()).collect();
        order.sort_by_key(|place| Some(*place) != last);
        let mut tried = Vec::new();
        for place in order {
            let (address, port) = &endpoints[place];
            match self.log_in(host, &endpoints[place], script).await {
                Ok(session) => {
                    self.answered.lock().unwrap_or_else(PoisonError::into_inner).insert(host.id.clone(), place);
                    return Ok((place, session));
                }
                Err(fault) => tried.push((address.clone(), *port, fault)),
            }
        }
        Err(Unreached { tried })
    }

    async fn log_in(&self, host: &Host, endpoint: &(String, u16), script: &str) -> Result<Session, Fault> {
        let mut child = self
            .command(host, endpoint, script)
            .spawn()
            .map_err(|error| Fault::NoProgram(format!("{}: {error}", self.program.display())))?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both are piped");
        };
        let said = Arc::new(Mutex::new(Vec::new()));
        // Read all the time, or a talkative command would wait for ever. Ends with the pipe.
        tokio::spawn(collect(err, said.clone()));
        let mut session = Session { child, out: BufReader::new(out), said };
        match tokio::time::timeout(self.login, session.logged_in()).await {
            Ok(result) => result.map(|()| session),
            Err(_) => Err(Fault::Timeout),
        }
    }

    /// The endpoint of the host at which somebody was logged in last, or else its first, and ssh's options for it: what another
    /// program that runs ssh itself needs to take the same way. Host keys are checked there too.
    pub fn way(&self, host: &Host) -> ((String, u16), Vec<OsString>) {
        let last = self.answered.lock().unwrap_or_else(PoisonError::into_inner).get(&host.id).copied();
        let endpoint = host.ssh_endpoints().swap_remove(last.unwrap_or_default());
        let mut options = self.options(host);
        options.extend(["-p".into(), endpoint.1.to_string().into()]);
        (endpoint, options)
    }

    fn options(&self, host: &Host) -> Vec<OsString> {
        let mut options: Vec<OsString> = Vec::new();
        let mut set = |option: &str| options.extend(["-o".into(), option.into()]);
        set("LogLevel=ERROR");
        set("BatchMode=yes");
        // A forwarding of `~/.ssh/config` that fails, or a dead connection, must not keep us.
        set("ClearAllForwardings=yes");
        set("ServerAliveInterval=5");
        set("ServerAliveCountMax=3");
        set(&format!("ConnectTimeout={}", self.login.as_secs().max(1)));
        let strict = match self.host_keys {
            HostKeys::Known => "yes",
            HostKeys::AcceptNew => "accept-new",
        };
        set(&format!("StrictHostKeyChecking={strict}"));
        if let Some(folder) = &self.control {
            set("ControlMaster=auto");
            set("ControlPersist=60");
            set(&format!("ControlPath={}/%C", folder.display()));
        } else {
            set("ControlMaster=no");
            set("ControlPath=none");
        }
        if let Some(key) = &self.only_key {
            set("IdentitiesOnly=yes");
            set("IdentityAgent=none");
            options.extend(["-i".into(), key.into()]);
        } else if let Some(key) = &host.ssh_key {
            options.extend(["-i".into(), key.into()]);
        }
        for key in &self.more_keys {
            options.extend(["-i".into(), key.into()]);
        }
        options
    }

    fn command(&self, host: &Host, (address, port): &(String, u16), script: &str) -> Command {
        let mut command = Command::new(&self.program);
        // Its words are understood here: in one language, and all of them.
        command.env("LC_ALL", "C").arg("-T").args(self.options(host));
        if let Some(user) = &host.ssh_user {
            command.arg("-l").arg(user);
        }
        command.arg("-p").arg(port.to_string()).arg("--").arg(address);
        command.arg(format!("exec sh -c {}", quoted(&format!("echo {MARK}\n{script}"))));
        // A Ctrl-C is ours to answer: in our process group ssh would be gone before we can say what became of it.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Ran {
    /// The last line that is not empty: of standard output, or where that is empty of standard error.
    pub fn last_words(&self) -> &str {
        let lines = self.err.lines().chain(self.out.lines());
        lines.rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it said nothing")
    }
}

impl Session {
    /// The next line, without its end; `None` after the last.
    pub async fn next_line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if (&mut self.out).take(MOST).read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.strip_suffix('\n').unwrap_or(&text).to_owned()))
    }

    /// Some of the bytes that come next; 0 after the last.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.out.read(buffer).await
    }

    /// Reads what is left, and waits for the end.
    pub async fn finish(mut self) -> Result<Ran, Fault> {
        let mut out = Vec::new();
        let mut rest = (&mut self.out).take(MOST);
        if rest.read_to_end(&mut out).await.is_err() {
            return Err(Fault::Lost);
        }
        let code = self.ended().await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match code {
            // 255 is ssh's own (ssh(1)); none of our scripts ends with it.
            Some(code @ 0..=254) => Ok(Ran { code, out: text(&out), err: self.said() }),
            _ => Err(Fault::Lost),
        }
    }

    async fn logged_in(&mut self) -> Result<(), Fault> {
        loop {
            match self.next_line().await {
                Ok(Some(line)) if line.ends_with(MARK) => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    return match self.ended().await {
                        // It ran a shell, which is not one of POSIX, or something else in its place (authorized_keys(5)).
                        Some(code @ 0..=254) => Err(Fault::Other(format!(
                            "{} (exit status {code}): the login there does not run commands",
                            self.said().trim()
                        ))),
                        _ => Err(Fault::of(&self.said())),
                    };
                }
            }
        }
    }

    /// Whether all of it was read is not known here: a script may end before, and a lost connection is seen by how it ends.
    async fn feed(&mut self, input: &[u8]) {
        // Dropped at the end: the other side reads to the end of it.
        if let Some(mut stdin) = self.child.stdin.take() {
            let _ = stdin.write_all(input).await;
        }
    }

    fn close_input(&mut self) {
        self.child.stdin.take();
    }

    async fn ended(&mut self) -> Option<i32> {
        let status = self.child.wait().await.ok()?;
        // What it said last may still be on its way to us.
        let until = tokio::time::Instant::now() + LEFT_OPEN;
        while Arc::strong_count(&self.said) > 1 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        status.code()
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

async fn collect(mut err: tokio::process::ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = err.read(&mut buffer).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if (said.len() as u64) < MOST {
            said.extend_from_slice(&buffer[..count]);
        }
    }
}
