//! What the commands that go to many nodes have in common.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use ringrift_config::{Host, HostsFile};
use ringrift_fleet::{Line, Lines, Outcome, Pace, Selection, Ssh, each};

use crate::{cli::seconds, context::Context, exit::Exit, failure::Failure};

/// Which nodes, and how they are reached.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// Only these nodes, by their names in the hosts file or by patterns such as gpu-*
    #[arg(long = "node", visible_alias = "nodes", value_name = "NAME", num_args = 1..)]
    pub(crate) nodes: Vec<String>,

    /// Only nodes of these roles
    #[arg(long = "role", value_name = "ROLE", num_args = 1..)]
    pub(crate) roles: Vec<String>,

    /// How many nodes at once
    #[arg(long, value_name = "N", default_value_t = AT_ONCE, value_parser = at_least_one)]
    pub(crate) parallel: usize,

    /// How long one node may take altogether; --timeout is for each attempt to log in, or to be answered
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) deadline: Duration,

    /// The ssh to use
    #[arg(long, value_name = "PROGRAM", env = "RINGRIFT_SSH", default_value = "ssh")]
    pub(crate) ssh: PathBuf,
}

/// How many nodes at once, and how long one may take, where nobody says; the second stands in the help as well.
const AT_ONCE: usize = 32;
const DEADLINE: Duration = Duration::from_mins(2);

/// The hosts that are meant, and the way to them.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) file: HostsFile,
    pub(crate) hosts: Vec<Host>,
    pub(crate) ssh: Ssh,
    pace: Pace,
    silent: bool,
}

impl FleetArgs {
    /// Reads the hosts file.
    pub(crate) fn open(&self, context: &Context) -> Result<Fleet, Failure> {
        let file = context.hosts()?;
        let selection = Selection::new(&self.nodes, &self.roles).map_err(|e| usage(&e))?;
        let hosts = selection.of(&file).map_err(|e| usage(&e))?.into_iter().cloned().collect();
        let ssh = self.ssh(context).sharing_connections();
        let pace = Pace { at_once: self.parallel, deadline: self.deadline };
        Ok(Fleet { file, hosts, ssh, pace, silent: context.json })
    }

    /// Connections of their own, with the key that the hosts file names and the usual ones.
    pub(crate) fn ssh(&self, context: &Context) -> Ssh {
        ssh(&self.ssh, context)
    }

    /// Whether somebody chose among the nodes.
    pub(crate) fn chooses(&self) -> bool {
        !self.nodes.is_empty() || !self.roles.is_empty()
    }
}

/// Connections by this program, with the key that the hosts file names and the usual ones.
pub(crate) fn ssh(program: &Path, context: &Context) -> Ssh {
    Ssh::new(program, context.timeout()).trying(usual_keys())
}

/// The private keys that people have (runbook: "Common key paths") and that are there. Once one is named, ssh leaves its own
/// usual ones out.
fn usual_keys() -> Vec<PathBuf> {
    let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) else { return Vec::new() };
    let names = ["id_cluster", "id_ed25519", "id_rsa", "id_ecdsa"];
    names.iter().map(|name| PathBuf::from(&home).join(".ssh").join(name)).filter(|path| path.exists()).collect()
}

fn usage(error: &ringrift_fleet::SelectionError) -> Failure {
    Failure::new(Exit::Usage, error.to_string()).advise("`ringriftctl hosts list` shows all.")
}

impl Fleet {
    /// These hosts of a file that was read already, at the usual pace.
    pub(crate) fn of(context: &Context, program: &Path, file: HostsFile, hosts: Vec<Host>) -> Self {
        let ssh = ssh(program, context).sharing_connections();
        let pace = Pace { at_once: AT_ONCE, deadline: DEADLINE };
        Self { file, hosts, ssh, pace, silent: context.json }
    }

    /// What is shown while so many nodes are worked on.
    pub(crate) fn lines(&self, doing: &str, of: usize) -> Lines {
        if self.silent { Lines::silent() } else { Lines::new(doing, of) }
    }

    /// Does something for each of these hosts, until Ctrl-C. `told` is what a node's line says at its end.
    pub(crate) async fn each<T>(
        &self,
        doing: &str,
        hosts: &[&Host],
        work: impl AsyncFn(&Host, &Line) -> T,
        told: impl Fn(&T) -> String,
    ) -> Vec<Outcome<T>> {
        let lines = self.lines(doing, hosts.len());
        let interrupted = async {
            // Where there is no such signal to wait for, nobody can stop us.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        each(hosts, self.pace, &lines, interrupted, work, told).await
    }
}

/// Why nothing is done with a host: nobody expects it to run the daemon.
pub(crate) fn skipped(host: &Host) -> Option<String> {
    if !host.is_ready() {
        Some(format!("status: {}", host.status))
    } else if !host.p2p_enabled {
        Some("p2p_enabled: false".to_owned())
    } else {
        None
    }
}

pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=1024).contains(n)).ok_or_else(|| "must be from 1 to 1024".to_owned())
}
