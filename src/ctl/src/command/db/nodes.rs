//! The databases of other nodes: each node looks at its own, by its own `ringriftctl`, run over SSH.

use std::time::Duration;

use clap::Args;
use ringrift_config::Host;
use ringrift_fleet::{Line, Outcome, Ran, Session, Ssh, Unreached, quoted, remote_path};
use ringrift_gamedb::Member;
use serde::Deserialize;
use serde_json::Value;

use super::send::{Listed, Said};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
};

/// Whose databases are meant, if not this machine's.
#[derive(Debug, Args)]
#[group(id = "of_nodes", multiple = true, args = ["all_nodes", "nodes", "roles"])]
#[command(mut_arg("deadline", |arg| arg.default_value("86400")), mut_arg("parallel", |arg| arg.default_value("8")))]
pub(crate) struct Nodes {
    /// Of every node of the hosts file, asked over SSH
    #[arg(long)]
    all_nodes: bool,

    #[command(flatten)]
    fleet: FleetArgs,
}

/// What came of asking a node.
#[derive(Debug)]
pub(super) enum Asked<T> {
    /// It did what was asked.
    Done(T),
    /// Nothing is expected of it, and why.
    Skipped(String),
    /// It did not.
    Failed(Fault),
}

/// Why a node did not do what was asked.
#[derive(Debug)]
pub(super) struct Fault {
    /// For programs: `unreachable`, `not_installed`, `no_folder`, `failed`, `unknown`.
    pub(super) state: &'static str,
    pub(super) why: String,
    pub(super) remedy: String,
    /// What kind of failure its `ringriftctl` named.
    pub(super) kind: Option<String>,
}

/// How `ringriftctl --json` tells a failure.
#[derive(Debug, Deserialize)]
struct Failed {
    error: String,
    advice: Option<String>,
    kind: Option<String>,
}

/// A word of the node comes every second while it copies; of silence so long it is given up.
pub(super) const SILENCE: Duration = Duration::from_mins(1);

/// Exit statuses of our scripts, which `ringriftctl` itself never has.
const NO_FOLDER: i32 = 66;
const NOT_INSTALLED: i32 = 69;

impl Nodes {
    /// Whether other nodes are meant.
    pub(super) fn are_meant(&self) -> bool {
        self.all_nodes || self.fleet.chooses()
    }

    pub(super) fn open(&self, context: &Context) -> Result<Fleet, Failure> {
        self.fleet.open(context)
    }
}

impl Fault {
    fn unreachable(host: &Host, unreached: &Unreached) -> Self {
        let fault = unreached.fault();
        let why = format!("unreachable ({fault})");
        Self { state: "unreachable", why, remedy: fault.remedy(host), kind: None }
    }

    /// From how a script ended that was to end with 0.
    fn of(host: &Host, ran: &Ran) -> Self {
        let id = &host.id;
        let folder = host.ringrift_path.as_deref().unwrap_or_default();
        match ran.code {
            NO_FOLDER => Self {
                state: "no_folder",
                why: format!("there is no folder {folder}"),
                remedy: format!("`ringriftctl hosts set {id} ringrift_path=DIR`"),
                kind: None,
            },
            NOT_INSTALLED => Self {
                state: "not_installed",
                why: "there is no ringriftctl in the path of its SSH login".to_owned(),
                remedy: "docs/operations.md: Install".to_owned(),
                kind: None,
            },
            code => {
                let last = ran.err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
                let said = serde_json::from_str(last).unwrap_or_else(|_| Failed {
                    error: format!("{last} (exit status {code})"),
                    advice: None,
                    kind: None,
                });
                Self {
                    state: "failed",
                    why: said.error,
                    remedy: said.advice.unwrap_or_else(|| format!("`ringriftctl db check` on {id} says more")),
                    kind: said.kind,
                }
            }
        }
    }

    fn wrong(why: impl Into<String>) -> Self {
        let remedy = "compare `ringriftctl --version` there and here".to_owned();
        Self { state: "failed", why: why.into(), remedy, kind: None }
    }
}

impl<T> Asked<T> {
    /// For a node's line.
    pub(super) fn told(&self, done: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Done(answer) => done(answer),
            Self::Skipped(why) => format!("skipped ({why})"),
            Self::Failed(fault) => fault.why.clone(),
        }
    }
}

impl<T> From<Outcome<Self>> for Asked<T> {
    fn from(outcome: Outcome<Self>) -> Self {
        let why = match outcome {
            Outcome::Done(asked) => return asked,
            Outcome::Overdue(after) => format!("no end after {:.0} s", after.as_secs_f64()),
            Outcome::Interrupted => "given up in the middle".to_owned(),
            Outcome::NotBegun => "not begun".to_owned(),
        };
        Self::Failed(Fault { state: "unknown", why, remedy: "repeat it".to_owned(), kind: None })
    }
}

/// How a command ends that asked nodes: whether all that is wrong is that some were not reached.
pub(super) fn exit(well: bool, faults: &[&Fault]) -> Exit {
    match (well, faults) {
        (true, []) => Exit::Ok,
        (true, faults) if faults.iter().all(|fault| fault.state == "unreachable") => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

/// Why a host is not asked for databases.
pub(super) fn skipped(host: &Host) -> Option<String> {
    if !host.is_ready() {
        Some(format!("status: {}", host.status))
    } else if host.ringrift_path.is_none() {
        Some("the hosts file has no ringrift_path for it".to_owned())
    } else {
        None
    }
}

/// Runs `ringriftctl --json db …` in the node's folder.
fn script(host: &Host, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!(
        "cd -- {} 2> /dev/null || exit {NO_FOLDER}\n\
         command -v ringriftctl > /dev/null || exit {NOT_INSTALLED}\n\
         exec ringriftctl --json db {}",
        host.ringrift_path.as_deref().map_or_else(|| ".".to_owned(), remote_path),
        words.join(" ")
    )
}

/// What `ringriftctl --json db …` prints there, whether it ended with 0 or found something wrong.
pub(super) async fn ask(ssh: &Ssh, host: &Host, words: &[&str]) -> Result<Value, Fault> {
    let ran = ssh.run(host, &script(host, words)).await.map_err(|unreached| Fault::unreachable(host, &unreached))?;
    if ran.out.trim().is_empty() {
        return Err(Fault::of(host, &ran));
    }
    serde_json::from_str(&ran.out).map_err(|error| Fault::wrong(format!("what it says makes no sense: {error}")))
}

/// What lies there where game databases are.
pub(super) async fn list(ssh: &Ssh, host: &Host) -> Result<Vec<Listed>, Fault> {
    let mut answer = ask(ssh, host, &["send"]).await?;
    serde_json::from_value(answer["files"].take())
        .map_err(|error| Fault::wrong(format!("its list of databases makes no sense: {error}")))
}

/// Has a database copied there. It is announced, and its bytes come next.
pub(super) async fn announced(ssh: &Ssh, host: &Host, name: &str, line: &Line<'_>) -> Result<(Member, Session), Fault> {
    line.says(name);
    let mut session = ssh
        .stream(host, &script(host, &["send", name]))
        .await
        .map_err(|unreached| Fault::unreachable(host, &unreached))?;
    loop {
        let said = tokio::time::timeout(SILENCE, session.next_line()).await;
        let said = said.map_err(|_| lost(format!("it has said nothing for {} s", SILENCE.as_secs())))?;
        let Some(said) = said.map_err(|error| lost(error.to_string()))? else {
            let ran = session.finish().await.map_err(|fault| lost(fault.to_string()))?;
            return Err(Fault::of(host, &ran));
        };
        match serde_json::from_str(&said) {
            Ok(Said::Doing { what, done, of }) => line.says(&format!("{what} {name}{}", share(done, of))),
            Ok(Said::Member(member)) if member.name == name => return Ok((*member, session)),
            Ok(Said::Member(member)) => {
                return Err(Fault::wrong(format!("it sends {} instead of {name}", member.name)));
            }
            Err(error) => return Err(Fault::wrong(format!("what it says makes no sense: {error}"))),
        }
    }
}

/// The connection is there no more, or might as well not be.
pub(super) fn lost(why: String) -> Fault {
    Fault { state: "unreachable", why, remedy: "repeat it".to_owned(), kind: None }
}

/// ` 45 %`, where that is known.
pub(super) fn share(done: u64, of: u64) -> String {
    if of == 0 { String::new() } else { format!(" {} %", u128::from(done) * 100 / u128::from(of)) }
}
