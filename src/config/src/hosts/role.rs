use std::fmt;

use serde::{Serialize, Serializer};

/// What a host is for, in the operator's word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role(Option<Box<str>>);

/// What a host may be given to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Plays games against itself.
    Selfplay,
    /// Trains networks.
    Training,
    /// Keeps the cluster together and computes nothing.
    Coordinator,
}

use Capability::{Coordinator, Selfplay, Training};

/// Roles of the hosts files and of the runbook (contract §3).
const ROLES: [(&str, &[Capability]); 12] = [
    ("gpu_selfplay", &[Selfplay]),
    ("gpu_selfplay_primary", &[Selfplay]),
    ("cpu_selfplay", &[Selfplay]),
    ("selfplay", &[Selfplay]),
    ("gpu_training", &[Training]),
    ("gpu_training_primary", &[Training]),
    ("nn_training", &[Training]),
    ("nn_training_primary", &[Training]),
    ("mixed", &[Selfplay, Training]),
    ("coordinator", &[Coordinator]),
    ("backbone", &[Coordinator]),
    ("proxy", &[Coordinator]),
];

impl Role {
    /// The role that `text` names, known or not; no role if it is empty.
    pub fn new(text: &str) -> Self {
        Self(Some(text).filter(|text| !text.is_empty()).map(Into::into))
    }

    /// As the hosts file spells it; empty if it names none.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// What the role alone allows; nothing if it is unknown.
    pub fn capabilities(&self) -> &'static [Capability] {
        ROLES.iter().find(|(name, _)| *name == self.as_str()).map_or(&[], |(_, capabilities)| capabilities)
    }

    /// Whether the role has a meaning.
    pub fn is_known(&self) -> bool {
        Self::names().any(|name| name == self.as_str())
    }

    /// The roles that have a meaning.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ROLES.iter().map(|(name, _)| *name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Selfplay => "selfplay",
            Training => "training",
            Coordinator => "coordinator",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_maps_to_what_it_allows() {
        // Every role that the contract has seen, and the runbook's.
        for (role, capabilities) in [
            ("gpu_selfplay", &[Selfplay][..]),
            ("gpu_selfplay_primary", &[Selfplay]),
            ("cpu_selfplay", &[Selfplay]),
            ("selfplay", &[Selfplay]),
            ("gpu_training", &[Training]),
            ("gpu_training_primary", &[Training]),
            ("nn_training", &[Training]),
            ("nn_training_primary", &[Training]),
            ("mixed", &[Selfplay, Training]),
            ("coordinator", &[Coordinator]),
            ("backbone", &[Coordinator]),
            ("proxy", &[Coordinator]),
            ("selfplay_cmaes", &[]),
            ("", &[]),
        ] {
            let role = Role::new(role);
            assert_eq!(role.capabilities(), capabilities, "{role}");
            assert_eq!(role.is_known(), !capabilities.is_empty(), "{role}");
        }
    }
}
