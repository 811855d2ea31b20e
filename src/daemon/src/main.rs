//! `ringrift-p2p`: the daemon that runs on every node of a self-play training cluster.

mod agreement;
mod book;
mod check;
mod dev;
mod dispatch;
mod facts;
mod http;
mod leader;
mod node;
mod peers;
mod publisher;
mod recover;
mod reload;
mod run;
mod start;
mod view;
mod voters;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
}

fn main() -> ExitCode {
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
            Command::Run(args) => run::run(args, passed).await,
            Command::CheckConfig(args) => check::run(&args),
            Command::Dev(args) => dev::run(&args).await,
            Command::Recover(args) => recover::run(&args),
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
    eprintln!("ringrift-p2p: {error:#}");
    ExitCode::FAILURE
}
