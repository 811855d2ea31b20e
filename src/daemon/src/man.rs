//! `ringrift-p2p man`: the manual pages, for those who make packages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;

/// Arguments of `ringrift-p2p man`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write one page per command into this folder, which is made when it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, program: Command) -> Result<()> {
    std::fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {}", args.dir.display()))?;
    let mut program = program.disable_help_subcommand(true);
    program.build();
    write(&program, &args.dir).with_context(|| format!("cannot write manual pages into {}", args.dir.display()))
}

/// The command's own page, and those of its subcommands.
fn write(command: &Command, dir: &Path) -> std::io::Result<()> {
    Man::new(command.clone()).section("8").manual("RingRift").generate_to(dir)?;
    command.get_subcommands().try_for_each(|subcommand| write(subcommand, dir))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_has_a_page_of_section_8() {
        let dir = tempfile::tempdir().unwrap();
        run(&Args { dir: dir.path().join("man8") }, crate::Cli::command()).unwrap();
        let page = |name: &str| std::fs::read_to_string(dir.path().join("man8").join(name)).unwrap();
        assert!(page("ringrift-p2p.8").contains("check\\-config"));
        assert!(page("ringrift-p2p-run.8").contains("RINGRIFT_NODE_ID"));
        for subcommand in crate::Cli::command().get_subcommands() {
            assert!(page(&format!("ringrift-p2p-{}.8", subcommand.get_name())).starts_with(".ie"));
        }
    }
}
