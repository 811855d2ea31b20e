use std::collections::BTreeMap;

use serde::Serialize;

/// The outside ports of a rented container, by inside port: `p2p_public_port` of the hosts file.
///
/// A single number there is the outside port of 8770, which was the only port of the Python program. A map names each:
/// `p2p_public_port: {8770: 41234, 8765: 41235}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PublicPorts(BTreeMap<u16, u16>);

impl PublicPorts {
    /// The inside port that a single number is for.
    pub(super) const SINGLE: u16 = 8770;

    /// The port outside for the port `inside`, if the file names one.
    pub fn outside(&self, inside: u16) -> Option<u16> {
        self.0.get(&inside).copied()
    }

    /// Whether the file names none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, inside: u16, outside: u16) {
        self.0.insert(inside, outside);
    }
}
