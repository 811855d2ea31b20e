use std::{
    fmt,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Serialize, Serializer};

/// A value and who set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// Where a value comes from. Earlier ones win over later ones, a credential stands behind the settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line, `--http-port`.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of the settings file.
    File {
        /// The settings file.
        path: Arc<Path>,
        /// Counted from 1.
        line: usize,
    },
    /// A credential that systemd passed (`LoadCredential=`).
    Credential(PathBuf),
    /// The name of this machine.
    HostName,
    /// Nobody set it.
    Default,
}

impl<T> Setting<T> {
    /// A value that nobody set.
    pub fn default_of(value: T) -> Self {
        Self { value, source: Source::Default }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: f(self.value), source: self.source }
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Credential(path) => write!(f, "systemd credential {}", path.display()),
            Self::HostName => f.write_str("host name"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
