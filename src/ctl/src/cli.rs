//! The command line.

#![expect(clippy::doc_markdown, reason = "these comments are help texts: people would see the backticks")]

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use ringrift_config::NodeId;

use crate::command::{
    cluster::ClusterCommand, completions::CompletionsArgs, components::HealthCommand, daemons::DaemonsArgs,
    data::DataCommand, db::DbCommand, doctor::DoctorArgs, events::EventsArgs, health_check::HealthCheckArgs,
    hosts::HostsCommand, jobs::JobsCommand, leader::LeaderCommand, logs::LogsArgs, man::ManArgs, models::ModelsCommand,
    monitor::MonitorArgs, nodes::NodesCommand, snapshot::SnapshotCommand, ssh::SshCommand, token::TokenCommand,
    update::UpdateArgs,
};

/// Looks after a RingRift cluster: asks its daemons, ringrift-p2p, how they are, and tells them what to do.
///
/// Every daemon answers for the whole cluster, and passes requests on to the leader or to any other node, so it is enough
/// to reach one of them.
#[derive(Debug, Parser)]
#[command(name = "ringriftctl", version, about, subcommand_required = true)]
#[command(arg_required_else_help = true, max_term_width = 100, after_help = AFTER, after_long_help = AFTER_LONG)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The daemon to ask: http://host:port, or only its host
    #[arg(long, global = true, value_name = "URL", env = "RINGRIFT_API", default_value = "http://127.0.0.1:8770")]
    #[arg(help_heading = GLOBAL)]
    pub(crate) api: String,

    /// File with the cluster token
    ///
    /// Without it: RINGRIFT_CLUSTER_AUTH_TOKEN, the file that RINGRIFT_CLUSTER_AUTH_TOKEN_FILE names, or
    /// /etc/ringrift-p2p/token if you may read it. Needed for everything that changes something.
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) token_file: Option<PathBuf>,

    /// Hosts file of the `hosts` commands
    ///
    /// Without it: /etc/ringrift-p2p/distributed_hosts.yaml, or else ./config/distributed_hosts.yaml.
    #[arg(long, global = true, value_name = "FILE", env = "RINGRIFT_HOSTS_FILE", help_heading = GLOBAL)]
    pub(crate) hosts: Option<PathBuf>,

    /// Print JSON, errors too (on standard error)
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) json: bool,

    /// Seconds to wait for an answer
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = GLOBAL)]
    pub(crate) timeout: Duration,
}

const GLOBAL: &str = "Global options";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the cluster: leader, quorum, and every node
    ///
    /// The first three lines are the runbook's healthy view. Ends with 0 only when there is a leader and a quorum, else
    /// with 5, so that a script can wait for it.
    #[command(after_help = "\
Examples:
  ringriftctl status                     as the daemon of this machine sees it
  ringriftctl status gpu-3               as gpu-3 sees it, asked through this machine's daemon
  ringriftctl --api gpu-3 status         as gpu-3 sees it, asked directly
  ringriftctl status --json | jq -r '.peers[] | select(.state == \"suspect\") | .node_id'")]
    Status(NodeArg),

    /// Watch the cluster: leader, quorum, and every node with its load and jobs
    #[command(after_help = "\
Examples:
  ringriftctl monitor --watch                     a view that fills the terminal; q quits, ? shows the keys
  ringriftctl monitor --watch --interval 10       the same, asking every 10 seconds
  ringriftctl monitor --watch | tee cluster.log   plain text, again and again, since it is no terminal
  ringriftctl monitor                             plain text, once")]
    Monitor(MonitorArgs),

    /// Show what happened: elections, deaths, returns, cordons, voter changes
    #[command(after_help = "\
Examples:
  ringriftctl events                         the newest 20
  ringriftctl events --follow                and those to come, until Ctrl-C
  ringriftctl events --since 1200 --json     everything after number 1200
  ringriftctl events --type NODE_DEAD        one type only")]
    Events(EventsArgs),

    /// List nodes and decide which of them are given work
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl nodes list
  ringriftctl nodes cordon gpu-3 gpu-4 --reason 'new driver'
  ringriftctl nodes drain gpu-3 --reason 'going away'
  ringriftctl nodes uncordon gpu-3 gpu-4"
    )]
    Nodes(NodesCommand),

    /// Show who votes, who of them is alive, and how far each has come
    #[command(after_help = "\
Examples:
  ringriftctl voters
  ringriftctl voters --json | jq '.voters[] | select(.alive | not) | .node_id'")]
    Voters,

    /// Show the leader, or hand the leadership over
    #[command(
        subcommand_required = false,
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  ringriftctl leader                           who leads
  ringriftctl leader transfer                  to the voter that is most up to date
  ringriftctl leader transfer --to backbone-2  before work on the leader's machine"
    )]
    Leader {
        #[command(subcommand)]
        command: Option<LeaderCommand>,
    },

    /// Save the agreed state to a file, or restore it
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl snapshot save before-upgrade.snap
  ringriftctl snapshot restore before-upgrade.snap"
    )]
    Snapshot(SnapshotCommand),

    /// Promote models, and see on which nodes they are
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl models list
  ringriftctl models promote best.pth --config hex8_2p --elo 1612
  ringriftctl models verify --all-nodes
  ringriftctl models rollback hex8_2p"
    )]
    Models(ModelsCommand),

    /// Ask for jobs, see where they run and why, stop them
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl jobs list
  ringriftctl jobs submit selfplay --config hex8_2p num_games=500
  ringriftctl jobs why selfplay-3k9x0a7c2m
  ringriftctl jobs logs selfplay-3k9x0a7c2m --follow"
    )]
    Jobs(JobsCommand),

    /// Show the work queue: what waits, what was given to nodes, and how much room is left
    #[command(after_help = "\
Examples:
  ringriftctl queue
  ringriftctl queue --json | jq .backpressure")]
    Queue,

    /// Check, repair, back up and restore game databases: of this machine, or of other nodes over SSH; asks no daemon
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl db check --db data/games/selfplay.db
  ringriftctl db repair data/games/selfplay.db --dry-run
  ringriftctl db check --all-nodes
  ringriftctl db backup --output backup_$(date +%Y%m%d).tar.zst --all-nodes
  ringriftctl db restore backup_20261127.tar.zst --db selfplay.db"
    )]
    Db(DbCommand),

    /// Make a node read its hosts file and settings again
    ///
    /// The same as `systemctl reload ringrift-p2p` there. A changed list of voters is taken over by the whole cluster, one
    /// safe step after the other; one that would leave no quorum is refused.
    #[command(after_help = "\
Examples:
  ringriftctl reload              the daemon of this machine
  ringriftctl reload backbone-2   another node, asked through this machine's daemon")]
    Reload(NodeArg),

    /// Read, check and change the hosts file
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl hosts list
  ringriftctl hosts show gpu-3
  ringriftctl hosts set gpu-3 status=maintenance
  ringriftctl hosts check new_hosts.yaml && cp new_hosts.yaml /etc/ringrift-p2p/distributed_hosts.yaml"
    )]
    Hosts(HostsCommand),

    /// Make a new cluster token
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl token new                                     print one
  ringriftctl token new --output /etc/ringrift-p2p/token    write one, for its owner only; never over an old one"
    )]
    Token(TokenCommand),

    /// Check over SSH whether every node is fit for its work; with NODE, what its daemon says of itself
    ///
    /// One line for each node: PyTorch in its environment, GPUs, driver, disk, clock, and ports in both directions. What is
    /// wrong stands below with what mends it. Warnings do not make it fail.
    #[command(
        subcommand_required = false,
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  ringriftctl health                            every node
  ringriftctl health --nodes gpu-1 gpu-2        these nodes
  ringriftctl health --fix --dry-run            the repairs that would be done
  ringriftctl health gpu-3                      the components of one daemon, asked through this machine's
  ringriftctl health components --all-nodes     the training pipeline, node by node"
    )]
    Health {
        #[command(subcommand)]
        command: Option<HealthCommand>,
        #[command(flatten)]
        args: HealthArgs,
    },

    /// Make room on this machine's disk: what is old goes to a trash, and is deleted after a while; asks no daemon
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl data cleanup --keep-days 7 --dry-run   what would go, with sizes
  ringriftctl data cleanup --keep-days 7
  ringriftctl data archive --output old_20261128.tar.zst --keep-days 30
  ringriftctl data restore 20261128T120000Z          take back what a cleanup moved away"
    )]
    Data(DataCommand),

    /// See, start, stop and restart the daemons of many nodes
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl cluster check
  ringriftctl cluster start
  ringriftctl cluster restart
  ringriftctl cluster stop --node gpu-3"
    )]
    Cluster(ClusterCommand),

    /// Update the program on many nodes, a few at a time; jobs run on
    ///
    /// How a node is updated is found out on it, over SSH: a machine of NixOS by `nixos-rebuild switch --target-host` from --flake;
    /// one whose daemon is of a Debian package by the package in --package, or by apt-get; and what else has a git checkout at its
    /// ringrift_path by git, with its requirements.txt installed. --way says otherwise.
    ///
    /// Workers in batches, then the voters one by one, the leader last after it has handed the leadership over. Each step waits
    /// until its nodes are back, have caught up and have found their jobs again. It stops at the first that is not, and before the
    /// quorum would have none to spare. The same command goes on where it stopped: what a node has already is left alone.
    ///
    /// What each node had before is remembered on this machine, and --rollback goes back to it in the same order.
    ///
    /// Ends with 0 only when every node has its version and is well; with 1 if it stopped, or a node was left alone; with 3 if
    /// all that is wrong is that nodes were not reached, or if no daemon answered at --api that could be asked about the others.
    #[command(after_help = "\
Examples:
  ringriftctl update --package ringrift-p2p_0.2.0_amd64.deb --dry-run
  ringriftctl update --package ringrift-p2p_0.2.0_amd64.deb --package ringrift-p2p_0.2.0_arm64.deb
  ringriftctl update --flake . --role gpu_training --batch 2
  ringriftctl update --way git --to v0.9.1 --node 'gpu-*'
  ringriftctl update --rollback")]
    Update(UpdateArgs),

    /// Make and check the way to every node by SSH
    #[command(
        subcommand,
        after_help = "\
Examples:
  ringriftctl ssh setup --dry-run
  ringriftctl ssh check"
    )]
    Ssh(SshCommand),

    /// Show the journals of many nodes, merged by time
    ///
    /// Over SSH. Times are shown in UTC, by each node's own clock.
    #[command(after_help = "\
Examples:
  ringriftctl logs                                          the newest entries of every daemon
  ringriftctl logs --node gpu-3 --since -1h
  ringriftctl logs --unit 'ringrift-selfplay@*' --follow    what jobs write, as they write it")]
    Logs(LogsArgs),

    /// Show the subsystems of every daemon, and when each last made progress
    #[command(after_help = "\
Examples:
  ringriftctl daemons
  ringriftctl daemons --node gpu-3 --json | jq '.nodes[].subsystems[] | select(.stuck)'")]
    Daemons(DaemonsArgs),

    /// Say what is wrong with the cluster, what explains most first, and what mends it
    ///
    /// Walks the runbook's troubleshooting: daemons that do not answer, a missing leader, nodes that are down and why or have
    /// not joined, voters and hosts files that differ, wrong addresses, SSH, firewalls, clocks, models that do not arrive,
    /// resources, databases, drivers and PyTorch. Changes nothing.
    #[command(after_help = "\
Examples:
  ringriftctl doctor
  ringriftctl doctor --quick        only what daemons know
  ringriftctl doctor --json | jq '.findings[0]'")]
    Doctor(DoctorArgs),

    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  ringriftctl completions bash > /etc/bash_completion.d/ringriftctl
  ringriftctl completions zsh > \"${fpath[1]}/_ringriftctl\"
  ringriftctl completions fish > ~/.config/fish/completions/ringriftctl.fish")]
    Completions(CompletionsArgs),

    /// Print the manual page, or write all of them into a folder
    #[command(after_help = "\
Examples:
  ringriftctl man | man -l -
  ringriftctl man --dir /usr/local/share/man/man1")]
    Man(ManArgs),
}

/// One daemon, or every node.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// A node whose daemon is asked, through the daemon at --api
    #[arg(value_name = "NODE", conflicts_with_all = ["nodes", "roles", "fix"])]
    pub(crate) node: Option<NodeId>,

    #[command(flatten)]
    pub(crate) check: HealthCheckArgs,
}

/// Which node a request is about.
#[derive(Debug, Args)]
pub(crate) struct NodeArg {
    /// A node, asked through the daemon at --api; without it, that daemon itself
    #[arg(value_name = "NODE")]
    pub(crate) node: Option<NodeId>,
}

const AFTER: &str = "\
Exit codes: 0 done (status: and leader and quorum exist), 1 failed or refused, 2 usage, 3 not reached,
4 token missing or wrong, 5 no leader or quorum lost. --help tells more.";

const AFTER_LONG: &str = "\
Examples:
  ringriftctl status                                   is the cluster well?
  ringriftctl monitor --watch                          look at it for a while
  ringriftctl events --follow                          what is happening?
  ringriftctl nodes cordon gpu-3 --reason 'new disk'   keep new work away from a node
  ringriftctl models promote best.pth --config hex8_2p --elo 1612   give every node a new model
  ringriftctl --api gpu-3 --json status | jq .term     another node's view, for a program

Exit codes:
  0  done; status, monitor, leader and voters: and a leader and a quorum exist
  1  failed or refused; health: the node is not well; hosts check: the file has errors;
     hosts add, remove: a step was not done; data: a file stayed that was to go;
     models: a file is wrong, or a node did not get it; db: a database or an archive is not right,
     or was left as it was, or a node is missing; cluster, ssh: a node is not as it should be;
     update: it stopped, or left a node alone
  2  the command line makes no sense
  3  the daemon, or the node asked through it, was not reached or did not answer in time;
     cluster, ssh, db, update: all that is wrong is that nodes were not reached
  4  the cluster token is missing or not accepted
  5  there is no leader, or the quorum is lost

Environment:
  RINGRIFT_API                       as --api
  RINGRIFT_CLUSTER_AUTH_TOKEN        the cluster token
  RINGRIFT_CLUSTER_AUTH_TOKEN_FILE   as --token-file
  RINGRIFT_HOSTS_FILE                as --hosts
  NO_COLOR                           if set, no colours";

/// Reads a number of seconds, whole or not.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("must be from 0.1 to 86400 seconds".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_long_help_tells_every_exit_code() {
        for (code, _) in Exit::MEANINGS {
            assert!(AFTER_LONG.contains(&format!("\n  {code}  ")), "{code} is not in --help");
        }
    }

    #[test]
    fn every_command_that_does_something_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("ringriftctl {}", command.get_name())), "{} has none", command.get_name());
        }
    }

    #[test]
    fn a_number_of_seconds_has_limits() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2_500)));
        for bad in ["", "x", "0", "-1", "inf", "NaN", "1e9"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
