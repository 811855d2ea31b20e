use std::fmt::Write as _;

use clap::Args;
use ringrift_api::{Client, VerifiedFile, VerifyReport, VerifyRequest};
use ringrift_blob::ModelName;
use serde_json::{Value, json};

use super::{
    list::unknown,
    scope::{Answers, Scope, ask_each, unasked, worst},
    which::{model, short},
};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    paint::{Paint, Tone},
    progress::Progress,
    report::Report,
    table::{Cell, Table, left, right},
};

/// What to hash.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The model: hex8_2p, or its file name; without it, all that were promoted
    #[arg(long, value_name = "MODEL", value_parser = model)]
    model: Option<ModelName>,

    #[command(flatten)]
    scope: Scope,
}

/// What one node's files are, and whether they are what was promoted.
struct Verified {
    files: Vec<VerifiedFile>,
    node: String,
}

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let models: Vec<ModelName> = match args.model {
        // Asked of each node, it would be the same answer from all.
        Some(model) if client.models().await?.models.iter().all(|known| known.name != model) => {
            return Err(unknown(&model));
        }
        Some(model) => vec![model],
        None => client.models().await?.models.into_iter().map(|model| model.name).collect(),
    };
    if models.is_empty() {
        return Ok(Report::ok(
            "No model was promoted yet: there is nothing to verify.\n",
            json!({ "success": true, "nodes": [] }),
        ));
    }
    let nodes = args.scope.nodes(&client).await?;
    let bar = Progress::of_things(context, "hashing", (nodes.len() * models.len()) as u64);
    let done = std::cell::Cell::new(0);
    let mut answers = ask_each(&client, &nodes, |client| {
        let (models, bar, done) = (&models, &bar, &done);
        async move {
            // One by one: each answer comes within the time that a node gives a request it passes on.
            let mut verified = Verified { files: Vec::new(), node: String::new() };
            for model in models {
                let report = hashed(&client, model).await?;
                verified.files.extend(report.files);
                verified.node = report.node_id.to_string();
                done.set(done.get() + 1);
                bar.at(done.get());
            }
            Ok(verified)
        }
    })
    .await;
    drop(bar);
    let mut exit = worst(&mut answers)?;
    let wrong =
        answers.iter().filter_map(|(_, answer)| answer.as_ref().ok()).any(|node| node.files.iter().any(|f| !f.ok));
    if wrong {
        exit = exit.max(Exit::Failed);
    }
    let json: Vec<Value> = answers
        .iter()
        .map(|(name, answer)| match answer {
            Ok(node) => {
                let success = node.files.iter().all(|file| file.ok);
                json!({ "success": success, "node_id": node.node, "files": node.files })
            }
            Err(failure) => unasked(name, failure),
        })
        .collect();
    let text = render(&answers, context.paint);
    Ok(Report::ok(text, json!({ "success": exit == Exit::Ok, "nodes": json })).exit(exit))
}

async fn hashed(client: &Client, model: &ModelName) -> Result<VerifyReport, Failure> {
    Ok(client.verify_models(&VerifyRequest { model: Some(model.clone()) }).await?)
}

fn render(answers: &Answers<Verified>, paint: Paint) -> String {
    let mut table = Table::new(&[left("NODE"), left("RESULT"), right("FILES"), right("SIZE"), right("SECONDS")]);
    let mut faults = String::new();
    for (name, answer) in answers {
        match answer {
            Ok(node) => {
                let wrong = node.files.iter().filter(|file| !file.ok).count();
                let (result, tone) = match wrong {
                    0 => ("ok".to_owned(), Tone::Good),
                    _ => (format!("{wrong} WRONG"), Tone::Bad),
                };
                table.row(vec![
                    node.node.as_str().into(),
                    Cell::toned(result, tone),
                    node.files.len().to_string().into(),
                    bytes(node.files.iter().map(|file| file.size).sum()).into(),
                    format!("{:.1}", node.files.iter().map(|file| file.seconds).sum::<f64>()).into(),
                ]);
                for file in node.files.iter().filter(|file| !file.ok) {
                    let found = file.found.as_ref().map_or_else(|| "not there".to_owned(), short);
                    let wanted = short(&file.expected);
                    let _ = writeln!(faults, "{}: {} is {found}, not {wanted}: {}", node.node, file.name, file.message);
                }
            }
            Err(failure) => {
                table.row(vec![
                    name.as_str().into(),
                    Cell::toned("NO ANSWER", Tone::Bad),
                    "-".into(),
                    "-".into(),
                    "-".into(),
                ]);
                let _ = writeln!(faults, "{name}: {}", failure.message);
            }
        }
    }
    let table = table.render(paint);
    if faults.is_empty() { table } else { format!("{table}\n{faults}") }
}
