use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use ringrift_config::Token;
use serde_json::json;

use crate::{exit::Exit, failure::Failure, report::Report};

/// What to do with the cluster token.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a new one out of 32 random bytes
    ///
    /// All nodes of a cluster hold the same. To replace one without a moment when nodes do not understand each other: give
    /// every node the new one as its second (`RINGRIFT_CLUSTER_AUTH_TOKEN_OLD`), then swap the two on every node, then
    /// take the old one away.
    New(New),
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Write it to this file, for its owner only, and do not print it; never over a file that holds anything
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(command: TokenCommand) -> Result<Report, Failure> {
    let TokenCommand::New(New { output }) = command;
    let token = Token::generate();
    let text = token.expose();
    let Some(path) = output else {
        return Ok(Report::ok(format!("{text}\n"), json!({ "token": text })));
    };
    let cannot = |error: &io::Error| Failure::local(format!("cannot write {}", path.display()), error);
    let Some(mut file) = create(&path).map_err(|e| cannot(&e))? else {
        return Err(Failure::new(Exit::Failed, format!("{} is there already and stays as it is", path.display()))
            .advise("A token that is in use cannot be got back once it is overwritten: choose another name."));
    };
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(|e| cannot(&e))?;
    let shown = path.display().to_string();
    Ok(Report::ok(format!("A new token is in {shown}.\n"), json!({ "file": shown })))
}

/// Opens a new file, or one that is empty: installing makes an empty token file (tmpfiles.d), which is no token. `None` if
/// something is there.
fn create(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created.map(Some),
    }
    if !path.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    if file.metadata()?.len() > 0 {
        return Ok(None);
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(Some(file))
}
