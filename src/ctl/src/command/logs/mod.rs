//! The journals of many nodes, merged by time.

mod entry;
mod follow;
mod script;

use std::io;

use clap::Args;
use ringrift_config::Host;
use ringrift_fleet::{Line, Outcome, Session, Unreached};
use serde_json::{Value, json};

use self::{entry::Entry, script::Question};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs, skipped},
    progress::remark,
    report::{print, reader_gone},
};

/// Which entries.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    fleet: FleetArgs,

    /// The unit, or a pattern such as 'ringrift-selfplay@*'
    #[arg(long, short, value_name = "UNIT", default_value = super::cluster::UNIT)]
    unit: String,

    /// Only entries since then, as journalctl understands it there: '-10min', 'today', '2026-11-28 10:00'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,

    /// How many of the newest entries of each node
    #[arg(long, short = 'n', value_name = "N", default_value_t = 100)]
    lines: usize,

    /// Go on showing entries as they come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(context: &Context, args: LogsArgs) -> Result<Exit, Failure> {
    let fleet = args.fleet.open(context)?;
    // One that is named is asked whatever the file says of it: logs are wanted most of a node that is out of order.
    let hosts: Vec<&Host> =
        fleet.hosts.iter().filter(|host| !args.fleet.nodes.is_empty() || skipped(host).is_none()).collect();
    let question = Question { unit: &args.unit, since: args.since.as_deref(), lines: args.lines };
    if args.follow {
        return tokio::select! {
            ended = follow::run(context, &fleet, &hosts, &question) => ended,
            () = reader_gone() => Ok(Exit::Ok),
            _ = tokio::signal::ctrl_c() => Ok(Exit::Ok),
        };
    }
    once(context, &fleet, &hosts, &question).await
}

async fn once(context: &Context, fleet: &Fleet, hosts: &[&Host], question: &Question<'_>) -> Result<Exit, Failure> {
    let work = async |host: &Host, _: &Line| {
        let mut session =
            begin(fleet, host, &question.script(None)).await.map_err(|unreached| unreached.to_string())?;
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut session, host).await.map_err(|e| e.to_string())? {
            entries.push(entry);
        }
        match session.finish().await {
            Ok(ran) if ran.code == 0 => Ok(entries),
            Ok(ran) => Err(ran.err.trim().to_owned()),
            Err(fault) => Err(fault.to_string()),
        }
    };
    let told = |read: &Result<Vec<Entry>, String>| match read {
        Ok(entries) => format!("{} entries", entries.len()),
        Err(why) => why.clone(),
    };
    let outcomes = fleet.each("reading journals", hosts, work, told).await;
    let mut all: Vec<Entry> = Vec::new();
    let mut missing: Vec<Value> = Vec::new();
    for (host, outcome) in hosts.iter().zip(outcomes) {
        let why = match outcome {
            Outcome::Done(Ok(entries)) => {
                all.extend(entries);
                continue;
            }
            Outcome::Done(Err(why)) => why,
            Outcome::Overdue(_) | Outcome::Interrupted | Outcome::NotBegun => "not read to its end".to_owned(),
        };
        remark(context, None, &format!("{} is missing: {why}", host.id));
        missing.push(json!({ "node_id": host.id, "message": why }));
    }
    // Stable: what a node wrote in the same microsecond stays in its order.
    all.sort_by_key(|entry| entry.micros);
    if context.json {
        let entries: Vec<Value> = all.iter().map(Entry::json).collect();
        print(&format!("{:#}\n", json!({ "success": missing.is_empty(), "entries": entries, "missing": missing })))?;
    } else {
        print(&all.iter().map(|entry| entry.text(context.paint)).collect::<String>())?;
    }
    Ok(if missing.is_empty() { Exit::Ok } else { Exit::Failed })
}

async fn begin(fleet: &Fleet, host: &Host, script: &str) -> Result<Session, Unreached> {
    fleet.ssh.stream(host, script).await
}

/// The next entry; what is no entry is shown as it came.
async fn next(session: &mut Session, host: &Host) -> io::Result<Option<Entry>> {
    Ok(session.next_line().await?.map(|line| Entry::read(host.id.as_str(), &line)))
}
