use serde::{Deserialize, Serialize};

use crate::event::shorten;

/// Whether a node is given work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Eligibility {
    /// New work may come.
    #[default]
    Eligible,
    /// No new work; what runs there runs on.
    Cordoned,
    /// No new work; what runs there is moved away.
    Draining,
}

impl Eligibility {
    /// The name that clients and operators read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eligible => "eligible",
            Self::Cordoned => "cordoned",
            Self::Draining => "draining",
        }
    }
}

/// Why a node is not simply eligible, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Standing {
    /// What the node may do.
    pub eligibility: Eligibility,
    /// Who asked for it.
    pub by: String,
    /// Why, in the operator's words; may be empty.
    pub reason: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    pub at_ms: u64,
}

impl Standing {
    /// The longest name and reason kept, in bytes.
    pub const MAX_TEXT: usize = 256;

    #[must_use]
    pub(crate) fn bounded(self) -> Self {
        let Self { eligibility, by, reason, at_ms } = self;
        Self { eligibility, by: shorten(by, Self::MAX_TEXT), reason: shorten(reason, Self::MAX_TEXT), at_ms }
    }
}

impl PartialEq<Eligibility> for Standing {
    fn eq(&self, other: &Eligibility) -> bool {
        self.eligibility == *other
    }
}
