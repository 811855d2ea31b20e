use std::{fmt::Write as _, time::Duration};

use clap::{Args, Subcommand};
use ringrift_api::{Client, CordonRequest, Eligibility, EligibilityChanged, EligibilityState, NodeEntry, NodeList};
use ringrift_config::NodeId;
use serde_json::{Value, json};

use crate::{
    age,
    cli::seconds,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::Paint,
    report::Report,
    table::{Cell, Table, left, right},
    waiting::{Look, at_most, until},
};

/// What to do with nodes.
#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Show every node, whether it is given work, and who decided that
    List,
    /// Give a node no new work; what runs there runs on
    #[command(after_help = "Example:\n  ringriftctl nodes cordon gpu-3 gpu-4 --reason 'new driver'")]
    Cordon(WhichNodes),
    /// Give a node work again
    #[command(after_help = "Example:\n  ringriftctl nodes uncordon gpu-3 gpu-4")]
    Uncordon(WhichNodes),
    /// Give a node no new work, and move away what runs there
    #[command(after_help = "\
Examples:
  ringriftctl nodes drain gpu-3 --reason 'going away'
  ringriftctl nodes drain gpu-3 --wait && ssh gpu-3 poweroff")]
    Drain(DrainArgs),
}

/// Which nodes, and why.
#[derive(Debug, Args)]
pub(crate) struct WhichNodes {
    /// The nodes, by their names in the hosts file
    #[arg(value_name = "NODE", required = true)]
    nodes: Vec<NodeId>,

    /// Why, for the other operators: shown by `nodes list` and in the events
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

/// Which nodes, and whether to wait.
#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    which: WhichNodes,

    /// Wait until no job is left there
    #[arg(long)]
    wait: bool,

    /// Give up waiting after so many seconds; the nodes stay drained
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, requires = "wait")]
    wait_limit: Duration,
}

pub(crate) async fn run(context: &Context, command: NodesCommand) -> Result<Report, Failure> {
    let client = context.client(None)?;
    match command {
        NodesCommand::List => {
            let list: Fetched<NodeList> = client.get_json("/api/nodes").await?;
            Ok(Report::ok(table(&list.typed.nodes, context.paint), list.raw))
        }
        NodesCommand::Cordon(which) => change(context, &client, "cordon", which).await,
        NodesCommand::Uncordon(which) => change(context, &client, "uncordon", which).await,
        NodesCommand::Drain(args) => drain(context, &client, args).await,
    }
}

async fn drain(context: &Context, client: &Client, args: DrainArgs) -> Result<Report, Failure> {
    let nodes = args.which.nodes.clone();
    let report = change(context, client, "drain", args.which).await?;
    if !args.wait || report.exit != Exit::Ok {
        return Ok(report);
    }
    let left = |why: &str| {
        Failure::new(Exit::Failed, format!("{why}: the nodes stay drained"))
            .advise("`ringriftctl jobs list --node NODE` shows what is left there.")
    };
    at_most(args.wait_limit, until_empty(context, client, &nodes), left).await?;
    let names = nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
    Ok(Report { text: format!("{}no job is left on {names}\n", report.text), ..report })
}

/// Waits until the cluster counts no job as theirs.
async fn until_empty(context: &Context, client: &Client, nodes: &[NodeId]) -> Result<(), Failure> {
    for node in nodes {
        until(context, "waiting for jobs to leave", async || {
            let list = client.jobs(&format!("?status=open&limit=1&node={node}")).await?;
            Ok(match list.total {
                0 => Look::Done(()),
                left => Look::NotYet(format!("jobs left on {node}: {left}")),
            })
        })
        .await?;
    }
    Ok(())
}

/// Asks for one node after the other. One that is refused does not keep the others from being asked for; the exit code is
/// then the worst.
async fn change(context: &Context, client: &Client, verb: &str, which: WhichNodes) -> Result<Report, Failure> {
    let body = CordonRequest { reason: which.reason, by: Some(operator()) };
    let mut text = String::new();
    let mut done: Vec<Value> = Vec::new();
    let mut failed: Vec<Failure> = Vec::new();
    for node in which.nodes {
        match client.post_json::<Fetched<EligibilityChanged>>(&format!("/api/nodes/{node}/{verb}"), &body).await {
            Ok(changed) => {
                let _ = writeln!(text, "{}", changed.typed.message);
                done.push(changed.raw);
            }
            Err(error) => failed.push(Failure::from(error)),
        }
    }
    // With one failure and nothing done that failure is all there is to say.
    if done.is_empty() && failed.len() == 1 {
        return Err(failed.remove(0));
    }
    for failure in &failed {
        failure.print(context.json);
    }
    let exit = failed.iter().map(|f| f.exit).max().unwrap_or(Exit::Ok);
    Ok(Report::ok(text, json!({ "success": failed.is_empty(), "nodes": done })).exit(exit))
}

/// Who is asking, as well as this machine knows: somebody in any case, so that no cordon is nobody's.
pub(crate) fn operator() -> String {
    let named =
        ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let user = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    match rustix::system::uname().nodename().to_str() {
        Ok(host) if !host.is_empty() => format!("{user}@{host}"),
        _ => user,
    }
}

fn table(nodes: &[NodeEntry], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("NODE"),
        left("STATE"),
        left("WORK"),
        left("ROLE"),
        left("VOTER"),
        left("IN FILE"),
        right("JOBS"),
        left("DECIDED"),
    ]);
    for node in nodes {
        let role = if node.is_leader { "leader" } else { &node.role };
        table.row(vec![
            node.node_id.as_str().into(),
            Cell::toned(node.state.as_str(), node.state.into()),
            Cell::toned(node.eligibility.state.as_str(), node.eligibility.state.into()),
            if role.is_empty() { "-" } else { role }.into(),
            if node.is_voter { "yes" } else { "-" }.into(),
            node.host_status.as_deref().unwrap_or("-").into(),
            node.active_job_count.to_string().into(),
            decided(&node.eligibility).into(),
        ]);
    }
    table.render(paint)
}

/// Who kept a node from work, when, and why. Of an eligible one nobody asks.
fn decided(eligibility: &Eligibility) -> String {
    if eligibility.state == EligibilityState::Eligible {
        return String::new();
    }
    let mut text = eligibility.since.map(age::moment).unwrap_or_default();
    if let Some(by) = &eligibility.by {
        let _ = write!(text, " by {by}");
    }
    if let Some(reason) = &eligibility.reason {
        let _ = write!(text, ": {reason}");
    }
    text.trim_start_matches([' ', ':']).to_owned()
}
