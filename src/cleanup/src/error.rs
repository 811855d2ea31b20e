use std::{io, path::PathBuf};

/// Why something was not looked at, moved or deleted.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The operating system refused.
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not the folder of a node.
    #[error("{} is no node's folder: it has neither data nor models nor logs in it", .0.display())]
    NoNode(PathBuf),
    /// The hosts file says something that is no number.
    #[error("{key}: expected {expected}, found {found}")]
    Threshold {
        /// The key in the hosts file.
        key: String,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A manifest that cannot be understood.
    #[error("{} is no manifest: {why}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such batch in the trash.
    #[error("there is no {0} in the trash")]
    NoBatch(String),
    /// A file is where one shall come back to.
    #[error("{} is there again: move it away first", .0.display())]
    Occupied(PathBuf),
}

impl CleanupError {
    pub(crate) fn io(deed: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { deed, path, source }
    }
}
