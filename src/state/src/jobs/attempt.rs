use ringrift_job::Ending;
use serde::{Deserialize, Serialize};

use super::Holder;

/// An attempt at a job that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its number.
    pub attempt: u32,
    /// Who had it.
    pub holder: Holder,
    /// How it ended, if somebody saw it.
    #[serde(default)]
    pub ended: Option<Ending>,
    /// It was given back, or never started: the node's fault rather than the job's.
    #[serde(default)]
    pub refused: bool,
    /// Why it is over, as a sentence for people.
    #[serde(default)]
    pub why: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub at_ms: u64,
}

impl AttemptRecord {
    /// The longest reason kept, in bytes.
    pub const MAX_WHY: usize = 256;
}
