//! What other machines run here over SSH: the game databases of this one, listed or sent.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Args;
use ringrift_gamedb::{Course, DbError, Kind, Member, Offer, Stop, find, kind, offer};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::task;
use crate::{context::Context, exit::Exit, failure::Failure, report::Report};

/// What is wanted.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The database, by its path below the node's folder; without it, all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// The node's folder: the one that has data/games and data/selfplay
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,

    /// Where the copy lies until it is sent; without it, beside the database
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// What is done with a file that lies where game databases are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deed {
    /// It is a game database.
    Copy,
    /// It is something else.
    Leave,
    /// It should be one and cannot be copied.
    Missing,
}

/// A file that lies where game databases are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// Its path below the node's folder.
    pub(super) name: String,
    pub(super) plan: Deed,
    pub(super) size_bytes: u64,
    /// Why, unless it is copied.
    pub(super) message: String,
}

/// What is said before the bytes come, one object on a line each.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// How far it is. Comes every second at least, so that silence means that something is wrong.
    Doing {
        /// What is done: `copying`, `checking`.
        what: String,
        /// How much of it is done.
        done: u64,
        /// How much there is; 0 if nobody knows.
        of: u64,
    },
    /// What follows, compressed, up to the end.
    Member(Box<Member>),
}

/// Between two words of how far it is.
const BEAT: Duration = Duration::from_secs(1);

pub(super) async fn run(context: &Context, args: SendArgs) -> Result<Exit, Failure> {
    let SendArgs { name, root, scratch } = args;
    let Some(name) = name else {
        let files = task::run(context, move |course| list(&root, course)).await?;
        let files = files.map_err(|error| task::failure(&error))?;
        Report::ok(String::new(), json!({ "success": true, "files": files })).print(true)?;
        return Ok(Exit::Ok);
    };
    let stop = Stop::default();
    let doing = Arc::new(Mutex::new(Said::Doing { what: "copying".to_owned(), done: 0, of: 0 }));
    let (stopped, told) = (stop.clone(), Arc::clone(&doing));
    let mut offering = tokio::task::spawn_blocking(move || {
        let mut course = Course::new(stopped, |progress| {
            let what = progress.doing.to_owned();
            *told.lock().unwrap_or_else(PoisonError::into_inner) =
                Said::Doing { what, done: progress.done, of: progress.of };
        });
        offer(&root, &name, scratch.as_deref(), &mut course)
    });
    let mut ended = pin!(task::asked_to_end());
    let offered = loop {
        tokio::select! {
            offered = &mut offering => break offered,
            () = &mut ended, if !stop.is_set() => stop.set(),
            () = tokio::time::sleep(BEAT) => {
                if say(&doing.lock().unwrap_or_else(PoisonError::into_inner)).is_err() {
                    // Nobody listens any more: the copy must not outlive that.
                    stop.set();
                }
            }
        }
    };
    let offer = offered.map_err(|error| Failure::local("the work broke off", &error))?;
    let offer = offer.map_err(|error| task::failure(&error))?;
    say(&Said::Member(Box::new(offer.member.clone()))).map_err(|error| Failure::local("nobody listens", &error))?;
    let sent = tokio::task::spawn_blocking(move || send(offer, stop)).await;
    sent.map_err(|error| Failure::local("the work broke off", &error))?.map_err(|error| task::failure(&error))?;
    Ok(Exit::Ok)
}

fn send(offer: Offer, stop: Stop) -> Result<(), DbError> {
    offer.send(io::stdout().lock(), &mut Course::new(stop, |_| {}))
}

fn say(said: &Said) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// The files below `root` that lie where game databases are.
pub(super) fn list(root: &Path, course: &mut Course<'_>) -> Result<Vec<Listed>, DbError> {
    let mut listed = Vec::new();
    for one in find(root)? {
        let size_bytes = one.path.metadata().map_or(0, |metadata| metadata.len());
        let (plan, message) = match kind(&one.path, course) {
            Ok(Kind::Game) => (Deed::Copy, String::new()),
            Ok(kind @ Kind::Unreadable) => (Deed::Copy, kind.as_str().to_owned()),
            Ok(kind @ (Kind::OtherSqlite | Kind::Empty)) => (Deed::Leave, kind.as_str().to_owned()),
            Ok(kind @ Kind::NotSqlite) => (Deed::Missing, kind.as_str().to_owned()),
            Err(error @ DbError::Stopped(_)) => return Err(error),
            Err(error) => (Deed::Missing, error.to_string()),
        };
        listed.push(Listed { name: one.name, plan, size_bytes, message });
    }
    Ok(listed)
}

impl Deed {
    /// As people are told it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Leave => "leave",
            Self::Missing => "MISSING",
        }
    }
}
