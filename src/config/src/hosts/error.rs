use std::{io, path::PathBuf};

use crate::Finding;

/// Why a hosts file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It says something that cannot be; the first is shown, [`HostsError::findings`] has all.
    #[error("{}", first_of(.0))]
    Invalid(Vec<Finding>),
}

impl HostsError {
    /// Everything that is wrong with the file, in its order.
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Read { path, error } => vec![Finding::error(path, None, "", format!("cannot be read: {error}"))],
            Self::Invalid(findings) => findings.clone(),
        }
    }
}

fn first_of(findings: &[Finding]) -> String {
    match findings {
        [] => "the hosts file is not valid".to_owned(),
        [only] => only.to_string(),
        [first, _] => format!("{first} (and 1 more error)"),
        [first, rest @ ..] => format!("{first} (and {} more errors)", rest.len()),
    }
}
