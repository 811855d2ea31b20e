use std::{convert::Infallible, io, os::unix::process::CommandExt as _, process::Command};

use ringrift_job::Launch;

/// Becomes the program of a launch; returns only when that cannot be done, with a sentence that says why.
///
/// The program finds the environment that systemd made for the unit, and over it the launch's own.
pub fn become_program(launch: &Launch) -> Result<Infallible, String> {
    let command = &launch.command;
    let (program, arguments) = command.argv.split_first().ok_or("its command line is empty")?;
    // Looked at first: a working directory that is missing would be told as if the program were.
    let working_dir = &command.working_dir;
    if let Err(error) = std::fs::read_dir(working_dir).map(drop)
        && error.kind() != io::ErrorKind::PermissionDenied
    {
        return Err(format!("its working directory {} cannot be entered: {error}", working_dir.display()));
    }
    let error = Command::new(program)
        .args(arguments)
        .current_dir(working_dir)
        .envs(launch.environment())
        // The socket is the unit's: what a job says there about itself is nobody's business.
        .env_remove("NOTIFY_SOCKET")
        .exec();
    Err(match error.kind() {
        io::ErrorKind::NotFound => format!("{program} is not there: {error}"),
        io::ErrorKind::PermissionDenied => format!(
            "{program} in {} cannot be run by the jobs' user: {error}; systemd/README.md tells how to let it",
            working_dir.display()
        ),
        _ => format!("{program} cannot be run: {error}"),
    })
}
