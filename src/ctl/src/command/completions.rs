use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use crate::{cli::Cli, report::Report};

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Report {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ringriftctl", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Report::ok(script.clone(), json!({ "shell": args.shell.to_string(), "script": script }))
}
