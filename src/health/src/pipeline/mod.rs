//! What do the files of the training pipeline say? They are written by the programs that play, train and evaluate, and only read here
//! (contract §6).

mod sampler;
mod stamps;
mod training;

use std::path::{Path, PathBuf};

use ringrift_gamedb::{Course, DbError, Stop, read};

pub use self::sampler::PipelineSampler;
use crate::Open;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `data` of the node.
    pub data: PathBuf,
    /// `logs` of the node.
    pub logs: PathBuf,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// It is not there.
    Missing,
    /// It is there and cannot be read, and why.
    Unreadable(String),
    /// It is there.
    Read(T),
}

/// The database of games.
#[derive(Debug, Clone, PartialEq)]
pub struct Games {
    /// When it was last written to, seconds since the epoch.
    pub written: f64,
    /// Games in it; `None` if they could not be counted in time.
    pub count: Option<u64>,
}

/// The newest training run.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// The name of its folder.
    pub run: String,
    /// When its folder or its report was last written to, seconds since the epoch.
    pub written: f64,
    /// What its report says; missing while it runs.
    pub success: Found<bool>,
}

/// What was found at one look.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Where was looked.
    pub folders: Folders,
    /// `data/games/selfplay.db`.
    pub games: Found<Games>,
    /// The newest folder of `logs/unified_training`; missing if there is none.
    pub training: Found<Training>,
    /// The newest match in `data/unified_elo.db`, seconds since the epoch; `None` without any.
    pub newest_match: Found<Option<f64>>,
    /// The newest heartbeat in `data/coordination/task_registry.db`, likewise.
    pub newest_heartbeat: Found<Option<f64>>,
    /// What the daemon itself has open.
    pub open: Option<Open>,
}

/// How long one database may take: a count of very many games must not keep the others from being looked at.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

impl Pipeline {
    /// Looks. Blocks for as long as the disk takes; what has not changed since `before` is not read again.
    pub(crate) fn look(folders: Folders, before: Option<&(Self, Seen)>) -> (Self, Seen) {
        let seen = Seen::of(&folders);
        let same = before.filter(|(pipeline, _)| pipeline.folders == folders);
        let pipeline = Self {
            games: match same {
                Some((old, then)) if then.games == seen.games && matches!(old.games, Found::Read(_)) => {
                    old.games.clone()
                }
                _ => games(&folders.data.join(GAMES)),
            },
            training: training::newest(&folders.logs.join(TRAINING)),
            newest_match: match same {
                Some((old, then)) if then.elo == seen.elo && matches!(old.newest_match, Found::Read(_)) => {
                    old.newest_match.clone()
                }
                _ => stamps::newest(&folders.data.join(ELO), "match_history", "timestamp"),
            },
            newest_heartbeat: match same {
                Some((old, then)) if then.tasks == seen.tasks && matches!(old.newest_heartbeat, Found::Read(_)) => {
                    old.newest_heartbeat.clone()
                }
                _ => stamps::newest(&folders.data.join(TASKS), "tasks", "last_heartbeat"),
            },
            open: Open::now().ok(),
            folders,
        };
        (pipeline, seen)
    }
}

const GAMES: &str = "games/selfplay.db";
const ELO: &str = "unified_elo.db";
const TASKS: &str = "coordination/task_registry.db";
const TRAINING: &str = "unified_training";

/// What changes when a database is written to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    games: Option<Stamp>,
    elo: Option<Stamp>,
    tasks: Option<Stamp>,
}

/// Size and time of a database and of its log.
type Stamp = [(u64, f64); 2];

impl Seen {
    fn of(folders: &Folders) -> Self {
        let stamp = |name: &str| stamp(&folders.data.join(name)).ok();
        Self { games: stamp(GAMES), elo: stamp(ELO), tasks: stamp(TASKS) }
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let of = |path: &Path| Ok::<_, std::io::Error>((path.metadata()?.len(), written(path)?));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    Ok([of(path)?, of(Path::new(&log)).unwrap_or_default()])
}

/// When a file was last written to, seconds since the epoch.
fn written(path: &Path) -> std::io::Result<f64> {
    let at = path.metadata()?.modified()?;
    Ok(at.duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()))
}

fn games(path: &Path) -> Found<Games> {
    // A writer with a log touches the database itself only from time to time.
    let written = match stamp(path) {
        Ok([(_, database), (_, log)]) => database.max(log),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Found::Missing,
        Err(error) => return Found::Unreadable(format!("{}: {error}", path.display())),
    };
    let stop = Stop::after(PATIENCE);
    let mut course = Course::new(stop.clone(), |_| {});
    let count = read(path, &mut course, |connection| {
        connection.query_row("SELECT COUNT(*) FROM games", [], |row| row.get::<_, i64>(0))
    });
    match count {
        Ok(count) => Found::Read(Games { written, count: u64::try_from(count).ok() }),
        // It is written to all the time, or there is very much of it: that it is there is known.
        Err(DbError::Changing(_) | DbError::Stopped(_)) => Found::Read(Games { written, count: None }),
        Err(_) if stop.is_set() => Found::Read(Games { written, count: None }),
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
