use clap::{ArgGroup, Args};
use ringrift_api::{DistributeRequest, Distributed};
use ringrift_blob::ModelName;
use ringrift_config::NodeId;
use serde_json::json;

use super::{
    follow::{WaitArgs, Wanted},
    over_ssh::OverSsh,
    which::model,
};
use crate::{
    command::nodes::operator,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// What to distribute.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["model", "all_canonical"]))]
pub(crate) struct DistributeArgs {
    /// The model: hex8_2p, or its file name
    #[arg(long, value_name = "MODEL", value_parser = model)]
    model: Option<ModelName>,

    /// Every promoted model
    #[arg(long)]
    all_canonical: bool,

    /// Only to this node
    #[arg(long, value_name = "NODE")]
    host: Option<NodeId>,

    /// Every node hashes its copy again
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    over_ssh: OverSsh,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) async fn run(context: &Context, args: DistributeArgs) -> Result<Report, Failure> {
    if let Some(host) = args.host.as_ref().filter(|_| args.over_ssh.wanted()) {
        return args.over_ssh.run(context, host, args.model.as_ref()).await;
    }
    let client = context.client(None)?;
    let request = DistributeRequest {
        model: args.model,
        all: args.all_canonical,
        host: args.host.clone(),
        force: args.force,
        by: Some(operator()),
    };
    let started: Fetched<Distributed> = client.post_json("/api/models/distribute", &request).await?;
    let text = format!("{}\n", started.typed.message);
    let mut json = json!({ "success": true, "started": started.raw, "waited": false });
    if !args.wait.applies(context) {
        return Ok(Report::ok(text, json));
    }
    let wanted: Vec<Wanted> = started
        .typed
        .models
        .into_iter()
        .map(|model| Wanted {
            name: model.name,
            sha256: model.sha256,
            generation: model.distribution_generation,
            host: args.host.clone(),
        })
        .collect();
    let ended = args.wait.follow(context, &client, &wanted).await?;
    json["success"] = ended.exit.is_none().into();
    json["waited"] = true.into();
    json["distributions"] = ended.json.into();
    // That it began is no news at its end.
    Ok(Report::ok(ended.text, json).exit(ended.exit.unwrap_or(Exit::Ok)))
}
