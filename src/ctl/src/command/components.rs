use std::fmt::Write as _;

use clap::{Args, Subcommand};
use ringrift_api::{ClusterComponents, ComponentReport};
use ringrift_config::NodeId;

use super::health::{list, mark, moment, section};
use crate::{
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Column, Table, left},
};

/// What else there is to ask about health.
#[derive(Debug, Subcommand)]
pub(crate) enum HealthCommand {
    /// Show how games, training, evaluation, tasks, the daemon's subsystems and the host are
    ///
    /// Each node looks at its own files every half minute. Ends with 0 only when no component is in error.
    #[command(after_help = "\
Examples:
  ringriftctl health components               the node of the daemon at --api
  ringriftctl health components gpu-3         another node, asked through that daemon
  ringriftctl health components --all-nodes   every node that should run, one line each
  ringriftctl health components --json | jq -r '.issues[]'")]
    Components(ComponentsArgs),
}

/// Of which nodes.
#[derive(Debug, Args)]
pub(crate) struct ComponentsArgs {
    /// A node, asked through the daemon at --api; without it, that daemon's
    #[arg(value_name = "NODE", conflicts_with = "all_nodes")]
    node: Option<NodeId>,

    /// Those of every node
    #[arg(long)]
    all_nodes: bool,
}

/// In the order of contract §6.
const COMPONENTS: [&str; 6] =
    ["DATA_SYNC", "TRAINING", "EVALUATION", "COORDINATOR", "COORDINATOR_MANAGERS", "RESOURCES"];

const PATH: &str = "/api/health/components";

pub(crate) async fn run(context: &Context, command: HealthCommand) -> Result<Report, Failure> {
    let HealthCommand::Components(ComponentsArgs { node, all_nodes }) = command;
    let client = context.client(node.as_ref())?;
    if all_nodes {
        let all: Fetched<ClusterComponents> = client.get_json(&format!("{PATH}?cluster=true")).await?;
        return Ok(Report::ok(cluster(&all.typed, context.paint), all.raw).exit(exit(all.typed.healthy)));
    }
    let one: Fetched<ComponentReport> = client.get_json(PATH).await?;
    Ok(Report::ok(render(&one.typed, context.paint), one.raw).exit(exit(one.typed.healthy)))
}

fn exit(healthy: bool) -> Exit {
    if healthy { Exit::Ok } else { Exit::Failed }
}

/// The layout of contract §6.
fn render(report: &ComponentReport, paint: Paint) -> String {
    let mut text = head(report.healthy, &report.timestamp, paint);
    let now = moment(&report.timestamp);
    for component in &report.components {
        text.push_str(&section(component, now, paint));
    }
    text.push('\n');
    text + &foot(&report.issues, &report.warnings)
}

/// The same with a line for each node.
fn cluster(all: &ClusterComponents, paint: Paint) -> String {
    let mut text = head(all.healthy, &all.timestamp, paint);
    text.push('\n');
    let columns: Vec<Column> =
        std::iter::once("NODE").chain(COMPONENTS).chain(std::iter::once("NOTE")).map(left).collect();
    let mut table = Table::new(&columns);
    for node in &all.nodes {
        let mut row: Vec<Cell> = vec![node.node_id.as_str().into()];
        row.extend(COMPONENTS.iter().map(|title| {
            let components = node.report.iter().flat_map(|report| &report.components);
            let found = components.into_iter().find(|component| component.name.eq_ignore_ascii_case(title));
            found.map_or_else(
                || "-".into(),
                |component| {
                    let (tone, mark) = mark(component.status);
                    Cell::toned(mark, tone)
                },
            )
        }));
        row.push(Cell::toned(node.error.as_deref().unwrap_or_default(), Tone::Bad));
        table.row(row);
    }
    text.push_str(&table.render(paint));
    text.push('\n');
    text + &foot(&all.issues, &all.warnings)
}

fn head(healthy: bool, timestamp: &str, paint: Paint) -> String {
    let (tone, overall) = if healthy { (Tone::Good, "HEALTHY") } else { (Tone::Bad, "UNHEALTHY") };
    let overall = paint.text(tone, overall);
    format!("{}\nHEALTH CHECK REPORT\nTimestamp: {timestamp}\nOverall: {overall}\n", "=".repeat(60))
}

fn foot(issues: &[String], warnings: &[String]) -> String {
    let mut text = format!("{}\n", "-".repeat(60));
    list(&mut text, "ISSUES", issues);
    list(&mut text, "WARNINGS", warnings);
    let _ = writeln!(text, "{}", "=".repeat(60));
    text
}
