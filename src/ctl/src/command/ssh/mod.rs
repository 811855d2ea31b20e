mod authorize;
mod check;
mod home;
mod include;
mod known;
mod setup;
mod way_back;

use clap::Subcommand;

pub(crate) use self::way_back::WayBack;
use self::{check::CheckArgs, setup::SetupArgs};
use crate::{context::Context, exit::Exit, failure::Failure};

/// What to do about SSH.
#[derive(Debug, Subcommand)]
pub(crate) enum SshCommand {
    /// Try every way to every node, and the way back
    ///
    /// Each address of a node is tried by a connection of its own. From the node, a connection to the daemon at --api is tried, or
    /// else to the first voter's. Permissions of keys on this machine are looked at.
    #[command(after_help = "\
Examples:
  ringriftctl ssh check
  ringriftctl ssh check --node 'vast-*' --timeout 5")]
    Check(CheckArgs),
    /// Make it possible to log in on every node without a password, and check it
    ///
    /// Makes the cluster key if there is none, corrects permissions, records the nodes' host keys, puts the public key on the
    /// nodes, writes an include for ~/.ssh/config so that `ssh NAME` works, and then logs in everywhere with that key alone. It
    /// logs in with the keys that work now: where none does, the password is wanted once, by ssh-copy-id.
    #[command(after_help = "\
Examples:
  ringriftctl ssh setup --dry-run
  ringriftctl ssh setup
  ringriftctl ssh setup --node gpu-3 --yes")]
    Setup(SetupArgs),
}

pub(crate) async fn run(context: &Context, command: SshCommand) -> Result<Exit, Failure> {
    let report = match command {
        SshCommand::Check(args) => check::run(context, &args).await?,
        SshCommand::Setup(args) => setup::run(context, &args).await?,
    };
    report.print(context.json)?;
    Ok(report.exit)
}
