use std::{process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::process::Command;

use crate::fake::Fake;

/// How a run ended and what it said, the fake's address replaced by `API` so that snapshots stay the same.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program in an environment where nobody has set anything.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringriftctl"));
    command.env_clear().env("USER", "op").env("COLUMNS", "100").stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Far longer than the slowest machine needs for one step: what hangs fails, and says where.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What comes of `step`, unless it hangs.
#[track_caller]
pub(crate) fn in_time<F: Future>(step: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        let ended = tokio::time::timeout(PATIENCE, step).await;
        ended.unwrap_or_else(|_| panic!("no end after {} s at {place}", PATIENCE.as_secs()))
    }
}

/// Runs it against the fake.
pub(crate) async fn run(fake: &Fake, args: &[&str]) -> Ran {
    ran(command().args(["--api", &fake.url()]).args(args), &fake.addr().to_string()).await
}

/// Waits for its end. `api` is what becomes `API` in the output, if anything.
pub(crate) async fn ran(command: &mut Command, api: &str) -> Ran {
    let output = in_time(command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| match (String::from_utf8(bytes).unwrap(), api) {
        (text, "") => text,
        (text, api) => text.replace(api, "API"),
    };
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    /// What it printed, for a snapshot: standard output, then standard error and the exit code.
    pub(crate) fn told(&self) -> String {
        format!("{}--- stderr\n{}--- exit {}\n", self.out, self.err, self.code.unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The error as JSON.
    pub(crate) fn json_error(&self) -> serde_json::Value {
        serde_json::from_str(&self.err).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}
