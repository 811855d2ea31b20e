use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{cli::Cli, exit::Exit, failure::Failure, report};

/// For which shell.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ringriftctl", &mut script);
    report::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
