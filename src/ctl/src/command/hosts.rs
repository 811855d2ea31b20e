use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ringrift_config::{HostsError, HostsFile, report};
use serde_json::json;

use crate::{context::Context, exit::Exit, failure::Failure, report::Report};

/// What to do with the hosts file.
#[derive(Debug, Subcommand)]
pub(crate) enum HostsCommand {
    /// Show every host of the file: what it is for, and where it is reached
    List,
    /// Show all that the file says about a host
    #[command(after_help = "Example:\n  ringriftctl hosts show gpu-3")]
    Show(Show),
    /// Look for errors, and for what deserves a warning: an even number of voters, voters that are not ready, two hosts
    /// with one address, placeholders
    #[command(after_help = "Example:\n  ringriftctl hosts check new_hosts.yaml")]
    Check(Check),
}

/// Which host.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its name in the file
    #[arg(value_name = "NAME")]
    name: String,
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file to check, instead of the one that --hosts names
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, command: HostsCommand) -> Result<Report, Failure> {
    match command {
        HostsCommand::List => {
            let file = load(&context.hosts_file()?)?;
            Ok(Report::ok(report::list(&file), report::list_json(&file)))
        }
        HostsCommand::Show(Show { name }) => {
            let file = load(&context.hosts_file()?)?;
            let host = report::find(&file, &name).map_err(|unknown| {
                Failure::new(Exit::Failed, unknown.to_string()).advise("`ringriftctl hosts list` shows all.")
            })?;
            Ok(Report::ok(report::show(&file, host), report::show_json(&file, host)))
        }
        HostsCommand::Check(Check { file }) => {
            let path = file.map_or_else(|| context.hosts_file(), Ok)?;
            let read = HostsFile::load(&path);
            if let Err(error @ HostsError::Read { .. }) = &read {
                return Err(unusable(&path, error));
            }
            let check = report::Check::of(path, &read);
            let exit = if check.ok && check.errors == 0 { Exit::Ok } else { Exit::Failed };
            Ok(Report::ok(check.to_string(), json!(check)).exit(exit))
        }
    }
}

fn load(path: &Path) -> Result<HostsFile, Failure> {
    HostsFile::load(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &HostsError) -> Failure {
    Failure::new(Exit::Failed, error.to_string()).advise(match error {
        HostsError::Read { .. } => "Name another file with --hosts FILE or RINGRIFT_HOSTS_FILE.".to_owned(),
        HostsError::Invalid(_) => format!("`ringriftctl hosts check {}` shows all that is wrong.", path.display()),
    })
}
