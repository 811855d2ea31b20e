use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ringrift_config::StoragePaths;
use serde::Serialize;

use crate::error::CleanupError;

/// What files below a folder are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Games, and what is made of them to train with: the only copy of it may be here.
    TrainingData,
    /// Models.
    Models,
    /// Checkpoints of training runs.
    Checkpoints,
    /// Logs.
    Logs,
}

impl Kind {
    /// As people say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TrainingData => "training data",
            Self::Models => "model",
            Self::Checkpoints => "checkpoint",
            Self::Logs => "log",
        }
    }
}

/// The folders that are looked into; nothing outside of them is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The node's folder.
    pub node: PathBuf,
    /// Folders with what they hold, without links on the way to them. None is inside another one.
    pub folders: BTreeMap<PathBuf, Kind>,
}

/// Below the node's folder.
const FOLDERS: [(&str, Kind); 6] = [
    ("data/games", Kind::TrainingData),
    ("data/selfplay", Kind::TrainingData),
    ("data/training", Kind::TrainingData),
    ("models", Kind::Models),
    ("checkpoints", Kind::Checkpoints),
    ("logs", Kind::Logs),
];

impl Roots {
    /// Those of a node's folder, and those that the hosts file names for it elsewhere.
    ///
    /// # Errors
    ///
    /// If `node` is not the folder of a node: a wrong folder must not be cleaned up.
    pub fn of(node: &Path, storage: Option<&StoragePaths>) -> Result<Self, CleanupError> {
        let node = fs::canonicalize(node).map_err(CleanupError::io("read", node))?;
        if !["data", "models", "logs"].iter().any(|name| node.join(name).is_dir()) {
            return Err(CleanupError::NoNode(node));
        }
        let mut named: Vec<(PathBuf, Kind)> = FOLDERS.iter().map(|(name, kind)| (node.join(name), *kind)).collect();
        if let Some(storage) = storage {
            let of = |path: &Option<String>, kind| path.as_ref().map(|path| (at_home(path), kind));
            named.extend(of(&storage.games, Kind::TrainingData));
            named.extend(of(&storage.training_data, Kind::TrainingData));
            named.extend(of(&storage.sync_incoming, Kind::TrainingData));
            named.extend(of(&storage.models, Kind::Models));
            named.extend(of(&storage.checkpoints, Kind::Checkpoints));
            named.extend(of(&storage.logs, Kind::Logs));
        }
        let mut folders: BTreeMap<PathBuf, Kind> = BTreeMap::new();
        for (folder, kind) in named {
            // What is not there has nothing to clean up.
            let Ok(folder) = fs::canonicalize(folder) else { continue };
            if folder.is_dir() && folder.parent().is_some() {
                // Of two meanings of one folder the one that keeps more counts: its order is that of the kinds.
                folders.entry(folder).and_modify(|known| *known = (*known).min(kind)).or_insert(kind);
            }
        }
        let inner = |folder: &Path| folders.keys().any(|other| folder != other && folder.starts_with(other));
        let nested: Vec<PathBuf> = folders.keys().filter(|folder| inner(folder)).cloned().collect();
        for folder in nested {
            // Files of the inner folder are found by the outer one; the more careful meaning of the two counts for all of them.
            if let Some(kind) = folders.remove(&folder) {
                let outer = folders.iter_mut().find(|(other, _)| folder.starts_with(other));
                if let Some((_, of_outer)) = outer {
                    *of_outer = (*of_outer).min(kind);
                }
            }
        }
        Ok(Self { node, folders })
    }
}

/// `~` is the home of whoever runs this: the hosts file means the one who logs in there.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}
