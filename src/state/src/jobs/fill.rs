use std::collections::BTreeMap;

use ringrift_job::GameConfig;
use serde::{Deserialize, Serialize};

/// What the cluster agreed on how idle slots are filled with self-play. Where it agreed on nothing, each leader's settings rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Whether idle slots are filled at all.
    pub enabled: bool,
    /// How much of the filling each configuration gets, against the others; 1 for those not named, 0 for none.
    #[serde(default)]
    pub weights: BTreeMap<GameConfig, u32>,
    /// Who said so.
    #[serde(default)]
    pub by: String,
    /// Wall clock of the proposer, milliseconds since the epoch; shown, never compared.
    #[serde(default)]
    pub at_ms: u64,
}
