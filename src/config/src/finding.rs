use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used; somebody should look at this.
    Warning,
}

/// Something about a file that somebody should know: `hosts.yaml:17: hosts.gpu-1.ssh_port: expected a port 1..65535`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The file as it was named to us.
    pub file: PathBuf,
    /// The line, counted from 1; none if it is about something that is not there.
    pub line: Option<usize>,
    /// The path of the key, `hosts.gpu-1.ssh_port`; empty if it is about the whole file.
    pub key: String,
    /// What is wrong, what was expected, what to do.
    pub message: String,
}

impl Finding {
    pub(crate) fn error(file: &Path, line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) -> Self {
        let (file, line, key, message) = (file.to_owned(), line.into(), key.to_owned(), message.into());
        Self { severity: Severity::Error, file, line, key, message }
    }

    pub(crate) fn warning(file: &Path, line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(file, line, key, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_file_line_and_key_as_far_as_they_are_known() {
        let file = Path::new("hosts.yaml");
        for (line, key, text) in [
            (Some(17), "hosts.a.gpu", "hosts.yaml:17: hosts.a.gpu: no"),
            (None, "p2p_voters", "hosts.yaml: p2p_voters: no"),
            (Some(3), "", "hosts.yaml:3: no"),
            (None, "", "hosts.yaml: no"),
        ] {
            assert_eq!(Finding::error(file, line, key, "no").to_string(), text);
        }
    }
}
