use clap::Args;
use ringrift_api::{ModelRemoved, RemoveRequest};
use ringrift_blob::ModelName;

use super::which::model;
use crate::{
    command::nodes::operator,
    confirm::confirm,
    context::{Context, Fetched},
    failure::Failure,
    report::Report,
};

/// Which model.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The model: hex8_2p, or its file name
    #[arg(value_name = "MODEL", value_parser = model)]
    model: ModelName,

    /// Do it without asking
    #[arg(long, short = 'y')]
    yes: bool,
}

pub(super) async fn run(context: &Context, args: RemoveArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let name = args.model;
    if !args.yes {
        confirm(&format!("Take {name} away from every node of the cluster at {}?", client.url("")), "removed")?;
    }
    let request = RemoveRequest { name: Some(name), config: None, by: Some(operator()) };
    let removed: Fetched<ModelRemoved> = client.post_json("/api/models/remove", &request).await?;
    Ok(Report::ok(format!("{}\n", removed.typed.message), removed.raw))
}
