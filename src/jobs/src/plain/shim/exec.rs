use std::{
    env, fs,
    io::{self, Write as _},
    os::unix::{net::UnixStream, process::CommandExt as _},
    process::Command,
};

use rustix::process::Signal;

use super::take_stdin;
use crate::plain::{cgroup::Leaf, limits, manifest::RunDir, manifest::Spec};

/// How willing the kernel shall be to kill a job rather than the daemon when memory is used up: halfway from 0 to 1000.
const OOM_SCORE: i32 = 500;

/// Becomes the program. Standard input is a socket: what is written to it is why that cannot be, and it is closed when it is done.
pub(super) fn exec(directory: &RunDir) -> io::Result<()> {
    let mut status = UnixStream::from(take_stdin()?);
    let Err(reason) = become_program(directory);
    status.write_all(reason.as_bytes())
}

fn become_program(directory: &RunDir) -> Result<std::convert::Infallible, String> {
    let spec = directory.spec().map_err(|error| format!("its manifest cannot be read: {error}"))?;
    let Spec { launch, cgroup, .. } = &spec;
    rustix::process::setsid().map_err(|error| format!("it gets no session of its own: {error}"))?;
    // Nobody reads its output any more when the shim is gone.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("it cannot be bound to its shim: {error}"))?;
    let leaf = cgroup.clone().map(Leaf::new);
    if let Some(leaf) = &leaf {
        leaf.join().map_err(|error| format!("it cannot enter its control group: {error}"))?;
    }
    limits::apply_to_self(&launch.limits, |limit| leaf.as_ref().is_some_and(|leaf| leaf.keeps(limit)));
    let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE.to_string());

    let command = &launch.command;
    let (program, arguments) = command.argv.split_first().ok_or("its command line is empty")?;
    env::set_current_dir(&command.working_dir)
        .map_err(|error| format!("its working directory {}: {error}", command.working_dir.display()))?;
    let error = Command::new(program)
        .args(arguments)
        .envs(launch.environment())
        .env(crate::plain::MARK, directory.path())
        .exec();
    Err(format!("cannot execute {program}: {error}"))
}
