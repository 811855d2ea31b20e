use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use ringrift_api::SnapshotRestored;
use serde_json::json;

use crate::{
    confirm::confirm,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// What to do with the agreed state.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Save what the cluster has agreed on, as of now, to a file
    #[command(after_help = "Example:\n  ringriftctl snapshot save before-upgrade.snap")]
    Save(Save),
    /// Make the whole cluster take over the state of a file
    ///
    /// What was agreed since the file was saved is given up. Who votes and who leads stays as it is. To bring a cluster
    /// back that has lost most of its voters, see `ringrift-p2p recover --help` instead.
    #[command(after_help = "Example:\n  ringriftctl snapshot restore before-upgrade.snap --yes")]
    Restore(Restore),
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// The file to write, for its owner only
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Where from.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// A file that `snapshot save` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(context: &Context, command: SnapshotCommand) -> Result<Report, Failure> {
    match command {
        SnapshotCommand::Save(save) => {
            if save.file.exists() && !save.force {
                return Err(exists(&save.file));
            }
            let bytes = context.client(None)?.get_bytes("/api/snapshot").await?;
            write(&save.file, &bytes, save.force)?;
            let file = save.file.display().to_string();
            let json = json!({ "success": true, "file": file, "bytes": bytes.len() });
            Ok(Report::ok(format!("Saved {} bytes to {file}.\n", bytes.len()), json))
        }
        SnapshotCommand::Restore(restore) => {
            let file = restore.file.display();
            let bytes = fs::read(&restore.file).map_err(|e| Failure::local(format!("cannot read {file}"), &e))?;
            let client = context.client(None)?;
            if !restore.yes {
                let question =
                    format!("Replace what the cluster at {} has agreed on with the state in {file}?", client.url(""));
                confirm(&question, "restored")?;
            }
            let answer: Fetched<SnapshotRestored> = client.post_bytes("/api/snapshot/restore", bytes.into()).await?;
            Ok(Report::ok(format!("{}\n", answer.typed.message), answer.raw))
        }
    }
}

fn exists(file: &Path) -> Failure {
    Failure::new(Exit::Failed, format!("{} is there already", file.display()))
        .advise("Choose another name, or replace it with --force.")
}

/// Writes a file that is there whole or not at all.
fn write(file: &Path, bytes: &[u8], replace: bool) -> Result<(), Failure> {
    let cannot = |error: &io::Error| Failure::local(format!("cannot write {}", file.display()), error);
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Opened here, since the errors of `NamedTempFile::new_in` name a file that nobody asked for.
    let open = |path: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut new = tempfile::Builder::new().make_in(folder, open).map_err(|e| cannot(&e))?;
    new.write_all(bytes).and_then(|()| new.as_file().sync_all()).map_err(|e| cannot(&e))?;
    if replace {
        new.persist(file).map_err(|e| cannot(&e.error))?;
    } else {
        new.persist_noclobber(file).map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => exists(file),
            _ => cannot(&e.error),
        })?;
    }
    fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| cannot(&e))
}
