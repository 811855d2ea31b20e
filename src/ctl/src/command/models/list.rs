use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{DistributionPhase, ModelEntry, ModelList};
use ringrift_blob::ModelName;
use serde_json::{Value, json};

use super::which::{model, short};
use crate::{
    age,
    bytes::bytes,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    report::Report,
    table::{Cell, Table, left, right},
};

/// Of which model.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The model: hex8_2p or its file name; without it, all
    #[arg(value_name = "MODEL", value_parser = model)]
    model: Option<ModelName>,
}

pub(super) async fn list(context: &Context) -> Result<Report, Failure> {
    let list = fetch(context).await?;
    let text = match list.typed.models.as_slice() {
        [] => "No model was promoted yet: `ringriftctl models promote --help`.\n".to_owned(),
        models => table(models, context.paint),
    };
    Ok(Report::ok(text, list.raw))
}

pub(super) async fn history(context: &Context, args: &HistoryArgs) -> Result<Report, Failure> {
    let Fetched { raw, typed } = fetch(context).await?;
    let wanted = |name: &ModelName| args.model.as_ref().is_none_or(|model| model == name);
    let models: Vec<&ModelEntry> = typed.models.iter().filter(|entry| wanted(&entry.name)).collect();
    if let ([], Some(model)) = (models.as_slice(), &args.model) {
        return Err(unknown(model));
    }
    let chosen: Vec<Value> = match raw.get("models").and_then(Value::as_array) {
        Some(entries) => entries
            .iter()
            .zip(&typed.models)
            .filter(|(_, entry)| wanted(&entry.name))
            .map(|(raw, _)| raw.clone())
            .collect(),
        None => Vec::new(),
    };
    Ok(Report::ok(versions(&models, context.paint), json!({ "success": true, "models": chosen })))
}

/// What is said of a model that nobody promoted.
pub(super) fn unknown(model: &ModelName) -> Failure {
    Failure::new(Exit::Failed, format!("no model {model} was promoted"))
        .advise("`ringriftctl models list` shows those that were.")
}

pub(super) async fn fetch(context: &Context) -> Result<Fetched<ModelList>, Failure> {
    Ok(context.client(None)?.get_json("/api/models").await?)
}

fn table(models: &[ModelEntry], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("MODEL"),
        left("SHA-256"),
        right("SIZE"),
        right("ELO"),
        left("PROMOTED"),
        right("NODES"),
        left("STATE"),
        left("BY"),
    ]);
    for model in models {
        let all = model.nodes_holding >= model.nodes_eligible;
        let nodes = format!("{}/{}", model.nodes_holding, model.nodes_eligible);
        let state = model.distribution.state;
        table.row(vec![
            model.name.as_str().into(),
            short(&model.sha256).into(),
            bytes(model.size).into(),
            elo(model.elo).into(),
            age::moment(model.promoted_at).into(),
            Cell::toned(nodes, if all { Tone::Plain } else { Tone::Warn }),
            Cell::toned(state.as_str(), tone(state)),
            model.by.as_str().into(),
        ]);
    }
    let mut text = table.render(paint);
    for model in models {
        if model.distribution.state == DistributionPhase::Failed {
            let _ = write!(text, "\n{}", missing(model));
        }
    }
    text
}

/// Which nodes a failed distribution did not reach, and why.
pub(super) fn missing(model: &ModelEntry) -> String {
    let mut text = format!("{} {} is not on every node:\n", model.name, short(&model.sha256));
    for failure in &model.distribution.nodes_failed {
        let _ = writeln!(text, "  {}: {}", failure.node_id, failure.reason);
    }
    if model.distribution.nodes_failed_omitted > 0 {
        let _ = writeln!(text, "  and {} more", model.distribution.nodes_failed_omitted);
    }
    text
}

fn versions(models: &[&ModelEntry], paint: Paint) -> String {
    let mut table = Table::new(&[
        left("MODEL"),
        left("SHA-256"),
        right("SIZE"),
        right("ELO"),
        left("PROMOTED"),
        left("VERSION"),
        left("BY"),
    ]);
    for model in models {
        table.row(vec![
            model.name.as_str().into(),
            short(&model.sha256).into(),
            bytes(model.size).into(),
            elo(model.elo).into(),
            age::moment(model.promoted_at).into(),
            Cell::toned("current", Tone::Good),
            model.by.as_str().into(),
        ]);
        for version in &model.history {
            table.row(vec![
                "".into(),
                short(&version.sha256).into(),
                bytes(version.size).into(),
                elo(version.elo).into(),
                age::moment(version.promoted_at).into(),
                if version.available { "can be rolled back to" } else { "needs its file" }.into(),
                version.by.as_str().into(),
            ]);
        }
    }
    table.render(paint)
}

fn elo(elo: Option<f64>) -> String {
    elo.map_or_else(|| "-".to_owned(), |elo| format!("{elo:.0}"))
}

fn tone(state: DistributionPhase) -> Tone {
    match state {
        DistributionPhase::Running => Tone::Warn,
        DistributionPhase::Complete => Tone::Good,
        DistributionPhase::Failed => Tone::Bad,
    }
}
