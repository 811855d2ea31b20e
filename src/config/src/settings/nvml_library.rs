use std::{fmt, path::PathBuf};

/// Where the NVIDIA driver's library is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NvmlLibrary {
    /// Where the system has it.
    Auto,
    /// This machine's GPUs are not looked at.
    Nowhere,
    /// In this file.
    At(PathBuf),
}

impl fmt::Display for NvmlLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Nowhere => f.write_str("none"),
            Self::At(file) => write!(f, "{}", file.display()),
        }
    }
}
