use std::{io, path::PathBuf};

use crate::{Finding, HostsError, NodeId};

/// Why a hosts file was not changed. It is then as it was, byte for byte.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be used as it is.
    #[error("{0}")]
    Unusable(#[from] HostsError),
    /// A host of this name is there.
    #[error("{} has a host {host} already{}", file.display(), on_line(*.line))]
    Exists {
        /// The hosts file.
        file: PathBuf,
        /// The host.
        host: NodeId,
        /// Where it is.
        line: Option<usize>,
    },
    /// There is no such host.
    #[error("{} has no host {host}{hint}", file.display())]
    Unknown {
        /// The hosts file.
        file: PathBuf,
        /// The host.
        host: NodeId,
        /// "; did you mean …?", or nothing.
        hint: String,
    },
    /// A key that cannot be one, or has no value that could be changed.
    #[error("hosts.{host}.{key}: {why}")]
    Key {
        /// The host.
        host: NodeId,
        /// The key below it.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file would have errors; the first is shown.
    #[error("nothing was changed, since the file could not be used any more: {}", first(.0))]
    Spoils(Vec<Finding>),
    /// It is written in a way that cannot be changed in place.
    #[error("{}: {what} is written in a way that cannot be changed in place: change it with an editor, then `ringriftctl hosts check`", file.display())]
    NotInPlace {
        /// The hosts file.
        file: PathBuf,
        /// The key.
        what: String,
    },
    /// Somebody changed the file after it was read.
    #[error("{} was changed by somebody else meanwhile: nothing was written; do it again", .0.display())]
    Changed(PathBuf),
    /// The file cannot be replaced.
    #[error("cannot {doing} {}: {error}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

fn on_line(line: Option<usize>) -> String {
    line.map(|line| format!(", on line {line}")).unwrap_or_default()
}

fn first(findings: &[Finding]) -> String {
    findings.first().map(ToString::to_string).unwrap_or_default()
}
