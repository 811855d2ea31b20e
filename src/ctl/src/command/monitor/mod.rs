//! A view of the cluster that goes on.

mod columns;
mod model;
mod screen;
mod terminal;
#[cfg(test)]
mod tests;

// The cluster of the whole-program tests: both show the same one.
#[cfg(test)]
#[path = "../../../tests/it/cluster.rs"]
mod cluster;

use std::time::Duration;

use clap::Args;
use ringrift_api::{Client, Status};

use crate::{
    age,
    cli::seconds,
    command::status,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::{Reader, Report, print_on, reader_gone},
};

/// How to watch.
#[derive(Debug, Args)]
pub(crate) struct MonitorArgs {
    /// Go on until q or Ctrl-C: a view that fills the terminal, or else plain text again and again
    #[arg(long, short)]
    watch: bool,

    /// Seconds between two looks
    #[arg(long, short, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    interval: Duration,
}

pub(crate) async fn run(context: &Context, args: MonitorArgs) -> Result<Exit, Failure> {
    let client = context.client(None)?;
    if !args.watch {
        let status: Fetched<Status> = client.get_json(status::PATH).await?;
        let text = status::render(&status.typed, context.paint);
        let report = Report::ok(text, status.raw).exit(status::exit(&status.typed));
        report.print(context.json)?;
        return Ok(report.exit);
    }
    if context.is_interactive() {
        return terminal::watch(&client, args.interval, context.paint).await;
    }
    tokio::select! {
        ended = log(context, &client, args.interval) => ended,
        () = reader_gone() => Ok(Exit::Ok),
    }
}

/// Plain text again and again, or a JSON object per line. A daemon that does not answer is told of, and asked again: the
/// watch is most needed while something is wrong.
async fn log(context: &Context, client: &Client, interval: Duration) -> Result<Exit, Failure> {
    let mut looks = tokio::time::interval(interval);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let text = match client.get_json::<Fetched<Status>>(status::PATH).await {
            Ok(status) if context.json => format!("{}\n", status.raw),
            Ok(status) => {
                let now = age::moment(jiff::Timestamp::now().as_millisecond() as f64 / 1_000.0);
                format!("--- {now}\n{}\n", status::render(&status.typed, context.paint))
            }
            Err(error) if error.is_passing() => {
                Failure::from(error).print(context.json);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if print_on(&text)? == Reader::Gone {
            return Ok(Exit::Ok);
        }
    }
}
