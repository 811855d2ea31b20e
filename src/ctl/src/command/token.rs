use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
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
    /// All nodes of a cluster hold the same. To replace one, give every node the old one as
    /// `RINGRIFT_CLUSTER_AUTH_TOKEN_OLD` besides the new one, and take it away again when all have both.
    New(New),
}

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct New {
    /// Write it to this file, for its owner only, and do not print it; never over a file that is there
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
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            Failure::new(Exit::Failed, format!("{} is there already and stays as it is", path.display()))
                .advise("A token that is in use cannot be got back once it is overwritten: choose another name.")
        } else {
            cannot(&error)
        }
    })?;
    file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(|e| cannot(&e))?;
    let shown = path.display().to_string();
    Ok(Report::ok(format!("A new token is in {shown}.\n"), json!({ "file": shown })))
}
