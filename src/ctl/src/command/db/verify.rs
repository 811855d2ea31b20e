use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_gamedb::verify;
use serde_json::json;

use super::{
    archive::{contents, databases},
    task,
};
use crate::{bytes::bytes, context::Context, failure::Failure, report::Report};

/// Which archive.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The archive
    #[arg(value_name = "ARCHIVE")]
    archive: PathBuf,
}

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<Report, Failure> {
    let verified = task::run(context, move |course| verify(&args.archive, course)).await?;
    let verified = verified.map_err(|error| task::failure(&error))?;
    let manifest = &verified.manifest;
    let mut text = contents(context, manifest);
    let _ = writeln!(
        text,
        "{} is right: {} of {}, {}, finished {}.",
        verified.path.display(),
        databases(manifest.databases.len()),
        manifest.whose(),
        bytes(verified.size_bytes),
        manifest.finished_at
    );
    let json = json!({
        "success": true,
        "path": verified.path,
        "size_bytes": verified.size_bytes,
        "complete": manifest.is_complete(),
        "manifest": manifest,
    });
    Ok(Report::ok(text, json))
}
