//! `ringriftctl`: the operator's tool. Asks the daemons over HTTP and shows what they say.

mod age;
mod bytes;
mod cli;
mod command;
mod confirm;
mod context;
mod exit;
mod failure;
mod fleet;
mod kept;
mod paint;
mod progress;
mod report;
mod table;
mod token_source;
mod waiting;

use std::process::ExitCode;

use clap::{Parser as _, error::ErrorKind};

use crate::{
    cli::{Cli, Command},
    context::Context,
    exit::Exit,
    failure::Failure,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).into(),
    };
    let json = cli.global.json;
    match run(Context::new(cli.global), cli.command).await {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.print(json);
            failure.exit.into()
        }
    }
}

async fn run(context: Context, command: Command) -> Result<Exit, Failure> {
    let report = match command {
        Command::Monitor(args) => return command::monitor::run(&context, args).await,
        Command::Events(args) => return command::events::run(&context, args).await,
        Command::Jobs(args) => return command::jobs::run(&context, args).await,
        Command::Cluster(args) => return command::cluster::run(&context, args).await,
        Command::Ssh(args) => return command::ssh::run(&context, args).await,
        Command::Db(args) => return command::db::run(&context, args).await,
        Command::Logs(args) => return command::logs::run(&context, args).await,
        Command::Daemons(args) => command::daemons::run(&context, &args).await?,
        Command::Doctor(args) => command::doctor::run(&context, &args).await?,
        Command::Update(args) => command::update::run(&context, &args).await?,
        Command::Queue => command::queue::run(&context).await?,
        Command::Status(args) => command::status::run(&context, args.node.as_ref()).await?,
        Command::Nodes(args) => command::nodes::run(&context, args).await?,
        Command::Voters => command::voters::run(&context).await?,
        Command::Leader { command } => command::leader::run(&context, command.unwrap_or_default()).await?,
        Command::Snapshot(args) => command::snapshot::run(&context, args).await?,
        Command::Reload(args) => command::reload::run(&context, args.node.as_ref()).await?,
        Command::Models(args) => command::models::run(&context, args).await?,
        Command::Hosts(args) => command::hosts::run(&context, args).await?,
        Command::Token(args) => command::token::run(args)?,
        Command::Completions(args) => command::completions::run(&args),
        Command::Man(args) => command::man::run(&args)?,
        Command::Health { command: Some(command), .. } => command::components::run(&context, command).await?,
        Command::Health { command: None, args } => match &args.node {
            Some(node) => command::health::run(&context, node).await?,
            None => command::health_check::run(&context, &args.check).await?,
        },
        Command::Data(args) => command::data::run(&context, args).await?,
    };
    report.print(context.json)?;
    Ok(report.exit)
}

/// Answers a command line that is wrong, or that asks for help.
fn refuse(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked {
        // A closed pipe is the only way for this to fail.
        let _ = error.print();
        return Exit::Ok;
    }
    if std::env::args_os().any(|a| a == "--json") {
        let text = error.to_string();
        let message = match error.kind() {
            // clap shows the help, whose first line is no error.
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing",
            _ => text.lines().next().unwrap_or_default().trim_start_matches("error: "),
        };
        Failure::new(Exit::Usage, message).advise("`ringriftctl --help` shows what there is.").print(true);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}
