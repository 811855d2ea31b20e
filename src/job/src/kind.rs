use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a class is for. It decides which nodes may run it, and the slice and the unit template that it runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Plays games to learn from. On nodes that may play.
    Selfplay,
    /// Makes a model of games. On nodes that may train.
    Training,
    /// Plays models against each other. On nodes that may play or train.
    Evaluation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Selfplay, Self::Training, Self::Evaluation];

    /// As settings, unit names and clients spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selfplay => "selfplay",
            Self::Training => "training",
            Self::Evaluation => "evaluation",
        }
    }

    /// The slice that its jobs run in, inside `ringrift.slice`.
    pub fn slice(self) -> &'static str {
        match self {
            Self::Selfplay => "ringrift-selfplay.slice",
            Self::Training => "ringrift-training.slice",
            Self::Evaluation => "ringrift-evaluation.slice",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = super::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| super::InvalidName::kind(text))
    }
}
