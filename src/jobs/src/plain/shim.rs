//! The process between the daemon and a program: it outlives the daemon, and tells the next one how the program ended.
//!
//! The daemon starts it as `PROGRAM … supervise DIRECTORY`. It leads a session of its own and is the parent of whatever the
//! program leaves behind. It starts itself once more, as `PROGRAM … exec DIRECTORY`; that one becomes the program.

mod exec;
mod supervise;

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::ExitCode,
};

use super::manifest::RunDir;

pub(super) const SUPERVISE: &str = "supervise";
pub(super) const EXEC: &str = "exec";

/// Does what a shim does: the arguments are those after the ones that [`crate::PlainSettings::shim`] names. To be called before
/// any thread exists.
pub fn shim(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let done = match &arguments[..] {
        [mode, directory] if mode == SUPERVISE => supervise::supervise(&RunDir::new(directory.into())),
        [mode, directory] if mode == EXEC => exec::exec(&RunDir::new(directory.into())),
        _ => Err(io::Error::other("the daemon starts this for each job; there is nothing to call it for")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringrift: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes what was handed over as standard input, which then is empty. It does not reach the program.
fn take_stdin() -> io::Result<OwnedFd> {
    let taken = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(taken)
}
