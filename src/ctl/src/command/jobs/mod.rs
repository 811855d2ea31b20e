#![expect(clippy::doc_markdown, reason = "these comments are help texts: people would see the backticks")]

mod cancel;
mod here;
mod limits;
mod list;
mod logs;
mod show;
mod submit;
mod values;
mod why;

use clap::Subcommand;

use self::{
    cancel::CancelArgs, here::HereArgs, limits::LimitsArgs, list::ListArgs, logs::LogsArgs, show::ShowArgs,
    submit::SubmitArgs,
};
use crate::{context::Context, exit::Exit, failure::Failure};

pub(super) use list::table;

/// What to do with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Show the jobs that wait or run; with --all also those that are over
    #[command(after_help = "\
Examples:
  ringriftctl jobs list
  ringriftctl jobs list --node gpu-3
  ringriftctl jobs list --status failed --limit 10
  ringriftctl jobs list --all --json | jq '.jobs[] | select(.config_key == \"hex8_2p\") | .job_id'")]
    List(ListArgs),
    /// Ask for a job: a class, and values for its parameters
    ///
    /// What a class runs is written in the settings of the nodes. The leader finds a node that can have the job; when there is none,
    /// the job waits, and `jobs why` says for what.
    #[command(after_help = "\
Examples:
  ringriftctl jobs submit selfplay --config hex8_2p num_games=500
  ringriftctl jobs submit training --config hex8_2p epochs=20 --priority 80 --node gpu-3
  ringriftctl jobs submit evaluation --config hex8_2p --after training-3k9x0a7c2m --wait
  ringriftctl jobs submit selfplay --config hex8_2p --limit memory_max=4G --limit cpu_quota=200%")]
    Submit(SubmitArgs),
    /// Show a job: its values, where it runs, and how earlier attempts ended
    #[command(after_help = "Example:\n  ringriftctl jobs show selfplay-3k9x0a7c2m")]
    Show(ShowArgs),
    /// Say why a job is where it is, or why it is nowhere: node by node
    #[command(after_help = "Example:\n  ringriftctl jobs why selfplay-3k9x0a7c2m")]
    Why(ShowArgs),
    /// Stop jobs, or take them out of the queue
    ///
    /// A job that runs gets SIGTERM, and SIGKILL after its grace period.
    #[command(after_help = "\
Examples:
  ringriftctl jobs cancel selfplay-3k9x0a7c2m
  ringriftctl jobs cancel training-1 training-2 --wait")]
    Cancel(CancelArgs),
    /// Show what a job wrote
    #[command(after_help = "\
Examples:
  ringriftctl jobs logs selfplay-3k9x0a7c2m
  ringriftctl jobs logs selfplay-3k9x0a7c2m --follow
  ringriftctl jobs logs selfplay-3k9x0a7c2m --attempt 1 --lines 1000")]
    Logs(LogsArgs),
    /// Show the limits of a job, or change them, also while it runs
    #[command(after_help = "\
Examples:
  ringriftctl jobs limits selfplay-3k9x0a7c2m
  ringriftctl jobs limits selfplay-3k9x0a7c2m memory_max=12G cpu_quota=400%")]
    Limits(LimitsArgs),
    /// Show what runs on a node, what it uses, and why the node takes no more
    #[command(after_help = "\
Examples:
  ringriftctl jobs here          the node at --api
  ringriftctl jobs here gpu-3")]
    Here(HereArgs),
}

pub(crate) async fn run(context: &Context, command: JobsCommand) -> Result<Exit, Failure> {
    let report = match command {
        JobsCommand::Logs(args) => return logs::run(context, args).await,
        JobsCommand::List(args) => list::run(context, &args).await?,
        JobsCommand::Submit(args) => submit::run(context, args).await?,
        JobsCommand::Show(args) => show::run(context, &args).await?,
        JobsCommand::Why(args) => why::run(context, &args).await?,
        JobsCommand::Cancel(args) => cancel::run(context, args).await?,
        JobsCommand::Limits(args) => limits::run(context, args).await?,
        JobsCommand::Here(args) => here::run(context, &args).await?,
    };
    report.print(context.json)?;
    Ok(report.exit)
}
