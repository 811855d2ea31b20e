//! The processes of a development cluster.

use std::{
    fs::OpenOptions,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, stream::FuturesUnordered};
use ringrift_config::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, ChildStdin, Command},
    time::{Instant, timeout_at},
};

use super::layout::Layout;

/// Time that nodes have to hand over the leadership and leave, before they are killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Nodes started by this process. Each holds the read end of a pipe from us as its standard input and stops when it closes,
/// so that none outlives us, however we end.
pub(crate) struct Cluster {
    nodes: Vec<Running>,
}

struct Running {
    node: NodeId,
    child: Child,
    _lifeline: Option<ChildStdin>,
    exited: bool,
}

impl Cluster {
    /// Starts every node of the layout at once.
    pub(crate) fn start(layout: &Layout) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find the own executable")?;
        let mut cluster = Self { nodes: Vec::new() };
        for (node, ip) in layout.nodes() {
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
                .args(["--settings", "none"])
                // An own process group: Ctrl-C in the terminal is for us, and we stop the nodes in order.
                .process_group(0)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(log)
                .kill_on_drop(true);
            let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
            let lifeline = child.stdin.take();
            cluster.nodes.push(Running { node: node.clone(), child, _lifeline: lifeline, exited: false });
        }
        Ok(cluster)
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

    /// Asks every node to stop, and kills those that have not after [`STOP_WITHIN`].
    pub(crate) async fn stop(&mut self) {
        for node in self.nodes.iter().filter(|n| !n.exited) {
            if let Some(pid) = node.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                // It may have exited in between; that is what was wanted.
                let _ = kill_process(pid, Signal::TERM);
            }
        }
        let deadline = Instant::now() + STOP_WITHIN;
        for node in self.nodes.iter_mut().filter(|n| !n.exited) {
            if timeout_at(deadline, node.child.wait()).await.is_err() {
                eprintln!("{} did not stop within {} s; killing it", node.node, STOP_WITHIN.as_secs());
                let _ = node.child.kill().await;
            }
            node.exited = true;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
