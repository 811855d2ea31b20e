use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the cluster believes about a node's daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// It answers.
    Alive,
    /// It has not answered lately; it may be busy. Counted as alive.
    Suspect,
    /// It has been silent for longer than a busy node would be.
    Dead,
    /// It said that it stops.
    Left,
    /// The hosts file names it, and nobody has heard of it since this node started.
    Unseen,
}

impl Liveness {
    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
            Self::Unseen => "unseen",
        }
    }

    /// Whether clients are told that it is alive: a suspect is, until it is proved dead.
    pub fn is_alive(self) -> bool {
        match self {
            Self::Alive | Self::Suspect => true,
            Self::Dead | Self::Left | Self::Unseen => false,
        }
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
