mod add;
mod cluster;
mod distribute;
mod edit;
mod remove;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ringrift_config::{HostsError, HostsFile, report};
use serde_json::json;

use self::{
    add::Add,
    distribute::Distribute,
    edit::{Rename, Set},
    remove::Remove,
};
use crate::{context::Context, exit::Exit, failure::Failure, report::Report};

/// What to do with the hosts file.
#[derive(Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// Show every host of the file: what it is for, and where it is reached
    List,
    /// Show all that the file says about a host
    #[command(after_help = "Example:\n  ringriftctl hosts show gpu-3")]
    Show(Show),
    /// Look for errors, and for what deserves a warning: an even number of voters, voters that are not ready, two hosts
    /// with one address, placeholders
    #[command(after_help = "Example:\n  ringriftctl hosts check new_hosts.yaml")]
    Check(Check),
    /// Add a host, and wait until it has joined and has every model
    ///
    /// The host is written behind the last one; comments and order stay, and the old file is kept beside the new one. Then
    /// the daemon at --api reads the file again, every other node gets it over SSH, the new one's daemon is started, and the
    /// host must come alive, get every promoted model, and find each of them right.
    #[command(after_help = ADD_EXAMPLES)]
    Add(Add),
    /// Change what the file says of a host; comments and order stay
    ///
    /// The old file is kept beside the new one. A daemon takes the change over when it reads the file again: `ringriftctl
    /// reload`.
    #[command(after_help = SET_EXAMPLES)]
    Set(Set),
    /// Give a host another name, wherever the file names it; not one that votes
    #[command(after_help = "Example:\n  ringriftctl hosts rename vast-1 vast-29128352")]
    Rename(Rename),
    /// Copy the hosts file to every node, and have its daemon read it
    ///
    /// Over SSH, to a temporary name; there `ringrift-p2p check-config` must find it right for that node, the old file is
    /// kept beside it, and the new one takes its place whole. Then the daemon reads it again. What became of it is told node
    /// by node; a node that is missing stops no other.
    #[command(after_help = DISTRIBUTE_EXAMPLES)]
    Distribute(Distribute),
    /// Take a host out of the cluster and of the file: mark it, drain it, let it leave, delete it
    ///
    /// Its status becomes disabled, its jobs are moved away, it stops voting, its daemon is stopped over SSH; only then it is
    /// deleted, and every other node gets the file. What would leave too few voters is refused before anything is changed. A
    /// removal that was stopped goes on when it is repeated.
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(Remove),
}

const ADD_EXAMPLES: &str = "\
Examples:
  ringriftctl hosts add gpu-9 ssh_host=10.0.0.9 ssh_user=ubuntu role=mixed gpu='RTX 4090'
  ringriftctl hosts add backbone-4 ssh_host=10.0.0.4 role=backbone --voter
  ringriftctl hosts add gpu-9 ssh_host=10.0.0.9 role=mixed --no-wait     do not wait until it has joined
  ringriftctl hosts add gpu-9 ssh_host=10.0.0.9 role=mixed --no-ssh      go to no other node
  ringriftctl hosts add gpu-9 ssh_host=10.0.0.9 role=mixed --file-only   only the file; asks no daemon
  ringriftctl hosts add gpu-9 ssh_host=10.0.0.9 --dry-run                show what would be written";

const SET_EXAMPLES: &str = "\
Examples:
  ringriftctl hosts set gpu-3 status=maintenance note='new fan'
  ringriftctl hosts set gpu-3 storage_paths.games=/mnt/games --unset storage_paths.logs
  ringriftctl hosts set backbone-4 --voter && ringriftctl reload
  ringriftctl hosts set gpu-3 max_parallel_jobs=2 --dry-run";

const DISTRIBUTE_EXAMPLES: &str = "\
Examples:
  ringriftctl hosts distribute --dry-run       copy and check it there, change nothing
  ringriftctl hosts distribute
  ringriftctl hosts distribute --node gpu-3    also if its status is not ready";

const REMOVE_EXAMPLES: &str = "\
Examples:
  ringriftctl hosts remove gpu-3
  ringriftctl hosts remove gpu-3 --dry-run     say what would be done, and whether the quorum allows it
  ringriftctl hosts remove gpu-3 --file-only   only the file; asks no daemon";

/// Which host.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name in the file
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file to check, instead of the one that --hosts names
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, command: HostsCommand) -> Result<Report, Failure> {
    match command {
        HostsCommand::Add(args) => add::run(context, args).await,
        HostsCommand::Set(args) => edit::set(context, &args),
        HostsCommand::Rename(args) => edit::rename(context, &args),
        HostsCommand::Distribute(args) => distribute::run(context, &args).await,
        HostsCommand::Remove(args) => remove::run(context, args).await,
        HostsCommand::List => {
            let file = load(&context.hosts_file()?)?;
            Ok(Report::ok(report::list(&file), report::list_json(&file)))
        }
        HostsCommand::Show(Show { name }) => {
            let file = load(&context.hosts_file()?)?;
            let host = report::find(&file, &name).map_err(|unknown| {
                Failure::new(Exit::Failed, unknown.to_string()).advise("`ringriftctl hosts list` shows all.")
            })?;
            Ok(Report::ok(report::show(&file, host), report::show_json(&file, host)))
        }
        HostsCommand::Check(Check { file }) => {
            let path = file.map_or_else(|| context.hosts_file(), Ok)?;
            let read = HostsFile::load(&path);
            if let Err(error @ HostsError::Read { .. }) = &read {
                return Err(unusable(&path, error));
            }
            let check = report::Check::of(path, &read);
            let exit = if check.ok && check.errors == 0 { Exit::Ok } else { Exit::Failed };
            Ok(Report::ok(check.to_string(), json!(check)).exit(exit))
        }
    }
}

pub(crate) fn load(path: &Path) -> Result<HostsFile, Failure> {
    HostsFile::load(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &HostsError) -> Failure {
    Failure::new(Exit::Failed, error.to_string()).advise(match error {
        HostsError::Read { .. } => "Name another file with --hosts FILE or RINGRIFT_HOSTS_FILE.".to_owned(),
        HostsError::Invalid(_) => format!("`ringriftctl hosts check {}` shows all that is wrong.", path.display()),
    })
}
