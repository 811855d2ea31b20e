//! What a node does with its own files: links, and versions that nothing needs.

use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{GcReport, GcRequest, LinkReport};
use serde_json::{Value, json};

use super::{
    scope::{Answers, Scope, ask_each, unasked, worst},
    which::short,
};
use crate::{
    bytes::bytes,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// What to remove.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long, short = 'n')]
    dry_run: bool,

    #[command(flatten)]
    scope: Scope,
}

pub(super) async fn link(context: &Context, scope: &Scope) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let nodes = scope.nodes(&client).await?;
    let mut answers: Answers<Fetched<LinkReport>> =
        ask_each(&client, &nodes, |client| async move { Ok(client.post_json("/api/models/link", &json!({})).await?) })
            .await;
    let mut exit = worst(&mut answers)?;
    let mut text = String::new();
    for (_, report) in answers.iter().filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?))) {
        let report = &report.typed;
        let changed = report.links.iter().filter(|link| link.changed).count();
        let wrong: Vec<_> = report.links.iter().filter(|link| !link.ok).collect();
        if !report.success {
            exit = exit.max(Exit::Failed);
        }
        let _ = writeln!(
            text,
            "{}: {} of {} links are right, {changed} were made anew",
            report.node_id,
            report.links.len() - wrong.len(),
            report.links.len()
        );
        for link in wrong {
            let _ = writeln!(text, "  {} -> {}: {}", link.link, link.target, link.message);
        }
    }
    Ok(report(&answers, text, exit))
}

pub(super) async fn gc(context: &Context, args: &GcArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let nodes = args.scope.nodes(&client).await?;
    let request = GcRequest { dry_run: args.dry_run };
    let mut answers: Answers<Fetched<GcReport>> = ask_each(&client, &nodes, |client| {
        let request = &request;
        async move { Ok(client.post_json("/api/models/gc", request).await?) }
    })
    .await;
    let exit = worst(&mut answers)?;
    let mut text = String::new();
    for (_, report) in answers.iter().filter_map(|(name, answer)| Some((name, answer.as_ref().ok()?))) {
        let report = &report.typed;
        let (count, freed) = (report.removed.len(), bytes(report.freed_bytes));
        let deed = if report.dry_run { "would be removed" } else { "removed" };
        let (kept, stay) = (report.kept, bytes(report.kept_bytes));
        let _ = writeln!(
            text,
            "{}: {count} {} {deed}, {freed}; {kept} stay, {stay}",
            report.node_id,
            if count == 1 { "version" } else { "versions" }
        );
        for item in &report.removed {
            let names: Vec<&str> = item.names.iter().map(ringrift_blob::ModelName::as_str).collect();
            let of = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
            let _ = writeln!(text, "  {}{of}, {}: {}", short(&item.sha256), bytes(item.size), item.reason);
        }
    }
    Ok(report(&answers, text, exit))
}

fn report<T>(answers: &Answers<Fetched<T>>, mut text: String, exit: Exit) -> Report {
    let mut nodes: Vec<Value> = Vec::new();
    for (name, answer) in answers {
        match answer {
            Ok(fetched) => nodes.push(fetched.raw.clone()),
            Err(failure) => {
                let _ = writeln!(text, "{name}: {}", failure.message);
                nodes.push(unasked(name, failure));
            }
        }
    }
    Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": nodes })).exit(exit)
}
