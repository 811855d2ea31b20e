use std::io::{self, Write as _};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::{exit::Exit, failure::Failure};

/// What a command found out: the same for people and for programs.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) exit: Exit,
}

impl Report {
    pub(crate) fn ok(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, exit: Exit::Ok }
    }

    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) fn print(&self, as_json: bool) -> Result<(), Failure> {
        if as_json { print(&format!("{:#}\n", self.json)) } else { print(&self.text) }
    }
}

/// Writes to standard output. A reader that has seen enough and closed its end is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::local("cannot write the output", &error))
        }
        _ => Ok(()),
    }
}

/// The same for outputs without end: says whether anybody still reads.
pub(crate) fn print_on(text: &str) -> Result<Reader, Failure> {
    match write(text) {
        Ok(()) => Ok(Reader::Listens),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
        Err(error) => Err(Failure::local("cannot write the output", &error)),
    }
}

/// Ends when nobody reads standard output any more, also while there is nothing to write. A file always has a reader.
pub(crate) async fn reader_gone() {
    let (gone, told) = oneshot::channel();
    // A thread that waits in the kernel and ends with the process: there is no other safe way to wait for this alone.
    std::thread::spawn(move || {
        let out = io::stdout();
        // An error is reported without being asked for, and a pipe whose reading end is closed has one (poll(2)).
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        while poll(&mut watched, None) == Err(Errno::INTR) {}
        gone.send(())
    });
    // A closed channel would mean that the thread is gone, and says nothing of the reader.
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whether somebody reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Listens,
    Gone,
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
