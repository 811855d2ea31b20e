//! `ringrift-p2p`: the daemon that runs on every node of a self-play training cluster.
//!
//! The program is [`main`]. It is a library so that the fuzz targets can reach what reads bytes from outside.

mod agreement;
mod ask;
mod book;
mod check;
mod conflicts;
mod dev;
mod dispatch;
mod facts;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod gpus;
mod http;
mod jobs;
mod leader;
mod man;
mod models;
mod node;
mod peers;
mod publisher;
mod recover;
mod reload;
mod run;
mod start;
mod supervised;
mod view;
mod voters;
mod wire;

use std::{io::Write as _, process::ExitCode};

use clap::{CommandFactory as _, Parser, Subcommand};
use ringrift_systemd::Listeners;

/// The control plane of a self-play training cluster: one daemon per node, one leader among 3 to 9 voters
#[derive(Debug, Parser)]
#[command(name = "ringrift-p2p", version, propagate_version = true, subcommand_required = true,
    arg_required_else_help = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  ringrift-p2p dev                      a five-node cluster on this machine; Ctrl-C stops it
  ringrift-p2p check-config             say what `run` would do here, and stop
  ringrift-p2p run --node-id gpu-3      run one node in the foreground

Exit codes: 0 it did what was asked; 1 it could not, and said why; 2 the command line is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run this machine's node (what the systemd unit starts)
    Run(run::Args),
    /// Check settings and hosts file as `run` would, print every effective value and its source, and stop
    CheckConfig(check::Args),
    /// Start a whole cluster on this machine, one process per node
    Dev(dev::Args),
    /// Bring a cluster back whose majority of voters is lost for good, from this node's state (see docs/operations.md)
    Recover(recover::Args),
    /// Write the manual pages into a folder
    Man(man::Args),
}

/// Does what the command line says.
pub fn main() -> ExitCode {
    // Before anything else: a job's shim is a small process, and no daemon.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == jobs::SHIM) {
        return ringrift_jobs::shim(arguments);
    }
    let cli = Cli::parse();
    // Before any thread exists: it takes the passed sockets out of the environment.
    let passed = match (&cli.command, Listeners::from_environment()) {
        (_, Ok(passed)) => passed,
        (_, Err(error)) => return failure(&error.into()),
    };
    // Two threads: one that waits for a disk must not keep heartbeats from going out.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failure(&error.into()),
    };
    let result = runtime.block_on(async {
        match cli.command {
            // It holds all that a node is made of: too much for a stack.
            Command::Run(args) => Box::pin(run::run(args, passed)).await,
            Command::CheckConfig(args) => check::run(&args),
            Command::Dev(args) => dev::run(&args).await,
            Command::Recover(args) => recover::run(&args),
            Command::Man(args) => man::run(&args, Cli::command()),
        }
    });
    // Whatever had to reach the disk or a peer was awaited. A thread that still reads standard input must not hold the exit
    // up: that read ends only when whoever started us lets go of the pipe.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

fn failure(error: &anyhow::Error) -> ExitCode {
    // Whoever reads standard error may be gone, as `tee` is after a Ctrl-C.
    let _ = writeln!(std::io::stderr(), "ringrift-p2p: {}", sentence(error));
    ExitCode::FAILURE
}

/// An error and what led to it, without repeating what is said already: many errors show their source themselves.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, next| {
        if said.is_empty() {
            next
        } else if said.contains(&next) {
            said
        } else {
            said + ": " + &next
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_once_with_what_led_to_it() {
        let error = anyhow::anyhow!("no such file").context("cannot read a").context("cannot start");
        assert_eq!(sentence(&error), "cannot start: cannot read a: no such file");
        let error = anyhow::anyhow!("no level").context("log filter `x`: no level; expected `info`");
        assert_eq!(sentence(&error), "log filter `x`: no level; expected `info`");
    }
}
