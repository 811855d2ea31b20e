//! The processes of a development cluster.

use std::{
    fs::OpenOptions,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream::FuturesUnordered};
use ringrift_config::NodeId;
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep_until, timeout_at},
};

use super::{layout::Layout, say};

/// Time that nodes have to hand over the leadership and leave, before they are killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long after its end a node is started again: long enough that the others see it dead or elect another leader, and then what a
/// supervisor does.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Nodes started by this process. Each holds the read end of a pipe from us as its standard input and stops when it closes,
/// so that none outlives us, however we end.
pub(crate) struct Cluster {
    nodes: Vec<Running>,
}

struct Running {
    node: NodeId,
    child: Child,
    lifeline: Option<ChildStdin>,
    exited: bool,
    /// When it is started again.
    again_at: Option<Instant>,
}

/// What happens to a node while the cluster runs.
pub(crate) enum Change {
    /// It ended by itself, or somebody ended it.
    Exited { node: NodeId, how: String },
    /// It ended a while ago, and now runs again.
    StartedAgain { node: NodeId },
}

impl Cluster {
    /// Starts every node of the layout at once.
    pub(crate) fn start(layout: &Layout) -> Result<Self> {
        let mut cluster = Self { nodes: Vec::new() };
        for (node, _) in layout.nodes() {
            cluster.nodes.push(spawn(layout, node)?);
        }
        Ok(cluster)
    }

    /// The process of a node, while it runs.
    pub(crate) fn pid(&self, node: &NodeId) -> Option<u32> {
        self.nodes.iter().find(|n| n.node == *node)?.child.id()
    }

    /// How many nodes have not exited.
    pub(crate) fn running(&self) -> usize {
        self.nodes.iter().filter(|n| !n.exited).count()
    }

    /// Waits for the next node that exits by itself. Never ends when all have.
    pub(crate) async fn next_exit(&mut self) -> (NodeId, String) {
        let mut exits: FuturesUnordered<_> = self
            .nodes
            .iter_mut()
            .filter(|n| !n.exited)
            .map(|n| async {
                let how = match n.child.wait().await {
                    Ok(status) => describe(status),
                    Err(error) => format!("cannot be watched: {error}"),
                };
                n.exited = true;
                (n.node.clone(), how)
            })
            .collect();
        match exits.next().await {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }

    /// Waits until a node exits, or one that has exited is started again. Never ends when nothing runs and nothing is due.
    pub(crate) async fn next_change(&mut self, layout: &Layout) -> Result<Change> {
        let due = self.nodes.iter().filter_map(|n| n.again_at).min();
        let due = async {
            match due {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            (node, how) = self.next_exit() => {
                for exited in self.nodes.iter_mut().filter(|n| n.node == node) {
                    exited.again_at = Some(Instant::now() + AGAIN_AFTER);
                }
                Ok(Change::Exited { node, how })
            }
            () = due => {
                let next = self.nodes.iter_mut().filter(|n| n.again_at.is_some()).min_by_key(|n| n.again_at);
                let next = next.context("no node is due")?;
                *next = spawn(layout, &next.node)?;
                Ok(Change::StartedAgain { node: next.node.clone() })
            }
        }
    }

    /// Starts those again that wait for it: a node ends its jobs when it is stopped, and one that was killed has left them.
    pub(crate) fn start_all_again(&mut self, layout: &Layout) {
        for node in self.nodes.iter_mut().filter(|n| n.again_at.is_some()) {
            match spawn(layout, &node.node) {
                Ok(running) => *node = running,
                Err(error) => say(&format!("{} may have left jobs: {error:#}", node.node)),
            }
        }
    }

    /// Has every node stop, and kills those that have not after [`STOP_WITHIN`].
    pub(crate) async fn stop(&mut self) {
        for node in self.nodes.iter_mut().filter(|n| !n.exited) {
            // Not a signal: one that was only just started would be ended by it, before it knows what jobs it has to end.
            node.lifeline = None;
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for node in self.nodes.iter_mut().filter(|n| !n.exited) {
            if timeout_at(deadline, node.child.wait()).await.is_err() {
                say(&format!("{} did not stop within {} s; killing it", node.node, STOP_WITHIN.as_secs()));
                let _ = node.child.kill().await;
            }
            node.exited = true;
        }
    }
}

/// Starts one node.
fn spawn(layout: &Layout, node: &NodeId) -> Result<Running> {
    let program = std::env::current_exe().context("cannot find the own executable")?;
    let found = layout.nodes().enumerate().find(|(_, (name, _))| *name == node);
    let (place, (_, ip)) = found.with_context(|| format!("the layout has no {node}"))?;
    let log_path = layout.log(node);
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.with_context(|| format!("cannot write {}", log_path.display()))?;
    let mut command = Command::new(&program);
    // What the operator's shell sets for a real node must not reach these.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("RINGRIFT_") && !name_text.starts_with("RINGRIFT_FAULT_") {
            command.env_remove(&name);
        }
    }
    command
        .arg("run")
        .arg("--stop-on-eof")
        .args(["--node-id", node.as_str()])
        .arg("--hosts")
        .arg(layout.hosts_file())
        .arg("--state-dir")
        .arg(layout.state_dir(node))
        .arg("--token-file")
        .arg(layout.token_file())
        .args(["--bind-addr", &ip.to_string()])
        .args(["--advertise-host", &ip.to_string()])
        .arg("--settings")
        .arg(layout.settings_file())
        // These nodes play the hosts of the file: what they have is what the file says.
        .args(["--nvml-library", "none"])
        // The first node is the one where samples appear, as if a training program had written them.
        .args(["--models-watch", if place == 0 { "true" } else { "false" }])
        // An own process group: Ctrl-C in the terminal is for us, and we stop the nodes in order.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
    let lifeline = child.stdin.take();
    Ok(Running { node: node.clone(), child, lifeline, exited: false, again_at: None })
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
