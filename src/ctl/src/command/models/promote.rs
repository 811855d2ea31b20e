use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_api::{Client, ModelChanged, PromoteRequest, Sent, Upload};
use ringrift_blob::{BlobHasher, CHUNK, Digest, ModelName};
use serde_json::json;

use super::{
    follow::WaitArgs,
    which::{config, exact_name, short},
};
use crate::{
    bytes::bytes,
    command::nodes::operator,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    progress::Progress,
    report::Report,
};

/// What to promote.
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Board and players: hex8_2p makes it canonical_hex8_2p.pth; without it, the file's own name tells
    #[arg(long, value_name = "CONFIG", value_parser = config, conflicts_with = "name")]
    config: Option<ModelName>,

    /// Another name than a canonical one
    #[arg(long, value_name = "NAME", value_parser = exact_name)]
    name: Option<ModelName>,

    /// Its rating, for the other operators and the events
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = rating)]
    elo: Option<f64>,

    /// Promote it also when it is current already: every node then hashes its copy again
    #[arg(long)]
    force: bool,

    /// Promote a file that is no whole PyTorch archive
    #[arg(long)]
    no_validate: bool,

    /// Port of the model server on the node at --api
    #[arg(long, value_name = "PORT", env = "RINGRIFT_P2P_MODELS_PORT", default_value_t = 8767)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    models_port: u16,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) async fn run(context: &Context, args: PromoteArgs) -> Result<Report, Failure> {
    let name = match args.config.or(args.name) {
        Some(name) => name,
        None => named_by(&args.file)?,
    };
    // Every step below costs time: what can fail without one fails first.
    let client = context.client(None)?;
    let (sha256, size) = if args.no_validate {
        hash(context, &args.file)?
    } else {
        match ringrift_store::validate(&args.file) {
            Ok(Ok(whole)) => (whole.sha256, whole.size),
            Ok(Err(damage)) => {
                return Err(Failure::new(Exit::Failed, format!("{} is not promoted: {damage}", args.file.display()))
                    .advise("With --no-validate it is promoted as it is."));
            }
            Err(error) => return Err(Failure::new(Exit::Failed, error.to_string())),
        }
    };

    let server = client.at_port(args.models_port);
    let uploaded = if server.has_model(&sha256).await? {
        false
    } else {
        upload(context, &server, &args.file, Upload { name: name.clone(), size, sha256 }).await?;
        true
    };
    let request = PromoteRequest {
        name: Some(name),
        config: None,
        sha256,
        elo: args.elo,
        by: Some(operator()),
        force: args.force,
    };
    let promoted: Fetched<ModelChanged> = client.post_json("/api/models/promote", &request).await?;
    let json = json!({ "uploaded": uploaded, "promoted": promoted.raw });
    args.wait.changed(context, &client, promoted, json).await
}

/// Reads a rating. What is no number could not be sent as JSON.
fn rating(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(elo) if elo.abs() <= 100_000.0 => Ok(elo),
        _ => Err("a rating is a number from -100000 to 100000".to_owned()),
    }
}

fn named_by(file: &Path) -> Result<ModelName, Failure> {
    let name = file.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<ModelName>().ok());
    name.filter(|name| name.board_and_players().is_some()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the name of {} does not say which model it is", file.display()))
            .advise("Say it with --config, for example --config hex8_2p, or with --name.")
    })
}

/// Digest and size of all bytes.
pub(super) fn hash(context: &Context, path: &Path) -> Result<(Digest, u64), Failure> {
    let cannot = |error: io::Error| Failure::local(format!("cannot read {}", path.display()), &error);
    let file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let bar = Progress::of_bytes(context, format!("hashing {}", path.display()), size);
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.read_from(file, |done| bar.at(done)).map_err(cannot)?;
    let blob = hasher.finish();
    Ok((blob.sha256, blob.size))
}

async fn upload(context: &Context, server: &Client, path: &Path, upload: Upload) -> Result<(), Failure> {
    let file =
        tokio::fs::File::open(path).await.map_err(|e| Failure::local(format!("cannot read {}", path.display()), &e))?;
    let bar = Progress::of_bytes(context, format!("uploading {}", upload.name), upload.size);
    let sent = Sent::default();
    let shown = async {
        loop {
            bar.at(sent.bytes());
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let stored = tokio::select! {
        stored = server.upload_model(&upload, file, &sent) => stored?,
        never = shown => never,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(Exit::Failed, "the upload was given up: nothing was promoted")
                .advise("Nothing goes on in the background; the same command begins again."));
        }
    };
    if stored.sha256 != upload.sha256 {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "the node stored {}, and {} was sent: nothing was promoted",
                short(&stored.sha256),
                short(&upload.sha256)
            ),
        )
        .advise("The file may have changed meanwhile: run the same command again."));
    }
    drop(bar);
    if !context.json {
        eprintln!("uploaded {} to {}: {}", bytes(upload.size), server.url(""), short(&upload.sha256));
    }
    Ok(())
}
