use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{ClientError, Component, ComponentStatus, Health};
use ringrift_config::Host;
use ringrift_fleet::{Line, Outcome};
use serde_json::{Value, json};

use crate::{
    age,
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{FleetArgs, skipped},
    paint::Tone,
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which nodes.
#[derive(Debug, Args)]
pub(crate) struct DaemonsArgs {
    #[command(flatten)]
    fleet: FleetArgs,
}

/// The component that has the daemon's own subsystems (contract §6), each with the seconds since its last progress.
const COMPONENT: &str = "coordinator_managers";

pub(crate) async fn run(context: &Context, args: &DaemonsArgs) -> Result<Report, Failure> {
    let fleet = args.fleet.open(context)?;
    let hosts: Vec<&Host> = fleet.hosts.iter().filter(|host| skipped(host).is_none()).collect();
    let client = context.client(None)?;
    let work = async |host: &Host, _: &Line| {
        let (_, health) = client.through(&host.id).get_json_any::<Health>("/health").await?;
        Ok::<_, ClientError>(health.components.into_iter().find(|component| component.name == COMPONENT))
    };
    let told = |asked: &Result<Option<Component>, ClientError>| match asked {
        Ok(_) => "asked".to_owned(),
        Err(error) => error.to_string(),
    };
    let outcomes = fleet.each("asking", &hosts, work, told).await;
    let mut table = Table::new(&[left("NODE"), left("SUBSYSTEM"), left("STATE"), right("LAST PROGRESS")]);
    let mut nodes: Vec<Value> = Vec::new();
    let mut unasked = String::new();
    let mut exit = Exit::Ok;
    for (host, outcome) in hosts.iter().zip(outcomes) {
        let why = match outcome {
            Outcome::Done(Ok(Some(component))) => {
                let subsystems = rows(host, &component, &mut table);
                if component.status == ComponentStatus::Error {
                    exit = Exit::Failed;
                }
                nodes.push(json!({ "node_id": host.id, "healthy": component.healthy, "subsystems": subsystems }));
                continue;
            }
            Outcome::Done(Ok(None)) => format!("its daemon tells nothing of `{COMPONENT}`"),
            Outcome::Done(Err(error)) => {
                // What failed counts more than what was not reached.
                exit = if exit == Exit::Ok { Exit::Unreachable } else { exit };
                nodes.push(json!({ "node_id": host.id, "error": error.to_string() }));
                let _ = writeln!(unasked, "{}: {error}", host.id);
                continue;
            }
            Outcome::Overdue(_) | Outcome::Interrupted | Outcome::NotBegun => "not asked to the end".to_owned(),
        };
        exit = Exit::Failed;
        let _ = writeln!(unasked, "{}: {why}", host.id);
        nodes.push(json!({ "node_id": host.id, "error": why }));
    }
    let mut text = table.render(context.paint);
    if !unasked.is_empty() {
        let _ = write!(text, "\n{unasked}`ringriftctl cluster check` shows what is the matter.\n");
    }
    Ok(Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": nodes })).exit(exit))
}

fn rows(host: &Host, component: &Component, table: &mut Table) -> Vec<Value> {
    let mut subsystems = Vec::new();
    for (name, silent) in &component.details {
        let Some(silent) = silent.as_f64() else { continue };
        // The daemon knows how long each of them may be silent.
        let stuck = component.stuck.contains(name);
        let state = if stuck { Cell::toned("stuck", Tone::Bad) } else { Cell::toned("running", Tone::Good) };
        table.row(vec![
            host.id.as_str().into(),
            name.as_str().into(),
            state,
            format!("{} ago", age::span(silent)).into(),
        ]);
        subsystems.push(json!({ "name": name, "stuck": stuck, "silent_seconds": silent }));
    }
    subsystems
}
