use clap::Args;
use ringrift_api::{ModelChanged, RollbackRequest};
use ringrift_blob::ModelName;
use serde_json::json;

use super::{follow::WaitArgs, which::model};
use crate::{
    command::nodes::operator,
    context::{Context, Fetched},
    failure::Failure,
    report::Report,
};

/// Which model, and to what.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The model: hex8_2p, or its file name
    #[arg(value_name = "MODEL", value_parser = model)]
    model: ModelName,

    /// SHA-256 of the version, or its first 8 digits or more; without it, the version before the current one
    #[arg(long, value_name = "SHA-256", value_parser = digits)]
    to: Option<String>,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) async fn run(context: &Context, args: RollbackArgs) -> Result<Report, Failure> {
    let client = context.client(None)?;
    let request = RollbackRequest { name: Some(args.model), config: None, to: args.to, by: Some(operator()) };
    let changed: Fetched<ModelChanged> = client.post_json("/api/models/rollback", &request).await?;
    let json = json!({ "rolled_back": changed.raw });
    args.wait.changed(context, &client, changed, json).await
}

fn digits(text: &str) -> Result<String, String> {
    if (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("8 to 64 hex digits of the version's SHA-256, as `models history` shows them".to_owned())
    }
}
