#![expect(clippy::doc_markdown, reason = "these comments are help texts: people would see the backticks")]

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// How the program of a node is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    /// nixos-rebuild switch --target-host, from this machine
    Nixos,
    /// A Debian package
    Debian,
    /// The git checkout at ringrift_path, and the requirements of its Python program
    Git,
}

/// What a node runs, so that it can be found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "lowercase")]
pub(super) enum Version {
    /// A system of NixOS: its path in the store, and what its daemon says of itself.
    Nixos { system: String, program: String },
    /// A package.
    Debian { package: String, version: String },
    /// A commit, and the branch that is checked out, if one is.
    Git { commit: String, branch: Option<String> },
}

impl Version {
    pub(super) fn way(&self) -> Way {
        match self {
            Self::Nixos { .. } => Way::Nixos,
            Self::Debian { .. } => Way::Debian,
            Self::Git { .. } => Way::Git,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nixos => "NixOS",
            Self::Debian => "Debian package",
            Self::Git => "git checkout",
        })
    }
}

/// As many characters of a hash as tell apart what one node ever had.
const SHORT: usize = 10;

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nixos { system, program } => {
                let name = system.rsplit('/').next().unwrap_or_default();
                let hash: String = name.chars().take(SHORT).collect();
                write!(f, "{} (system {hash})", if program.is_empty() { "no daemon" } else { program })
            }
            Self::Debian { version, .. } => f.write_str(version),
            Self::Git { commit, branch } => {
                let hash: String = commit.chars().take(SHORT).collect();
                match branch {
                    Some(branch) => write!(f, "{hash} ({branch})"),
                    None => f.write_str(&hash),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_short_for_people_and_whole_in_files() -> Result<(), serde_json::Error> {
        let text = |text: &str| text.to_owned();
        for (version, shown) in [
            (
                Version::Nixos {
                    system: text("/nix/store/3x8kq2f1abcdef-nixos-system-gpu-3-26.05"),
                    program: text("0.2.0"),
                },
                "0.2.0 (system 3x8kq2f1ab)",
            ),
            (Version::Debian { package: text("ringrift-p2p"), version: text("0.2.0~rc.1") }, "0.2.0~rc.1"),
            (Version::Git { commit: "0123456789abcdef".to_owned(), branch: Some(text("main")) }, "0123456789 (main)"),
            (Version::Git { commit: "0123456789abcdef".to_owned(), branch: None }, "0123456789"),
        ] {
            assert_eq!(version.to_string(), shown);
            let read: Version = serde_json::from_str(&serde_json::to_string(&version)?)?;
            assert_eq!(read, version);
        }
        Ok(())
    }
}
