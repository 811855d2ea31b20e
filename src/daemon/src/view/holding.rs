//! How far is a node with the models that it shall have?

use ringrift_config::NodeId;
use ringrift_state::HeldState;

use super::Picture;
use crate::models::ModelState;

/// What a node last said, compared with what is agreed.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// Why it has no part in models at all; empty if it has.
    pub(super) trouble: String,
    /// Models that it shall have, and those of them that it has verified.
    pub(super) promoted: usize,
    pub(super) verified: usize,
    /// Verified bytes of them, and all their bytes.
    pub(super) have_bytes: u64,
    pub(super) of_bytes: u64,
    /// How fast the missing ones come.
    pub(super) bytes_per_second: u64,
    /// Free bytes where it stores models, if it said.
    pub(super) free_bytes: Option<u64>,
    /// When it last hashed one of them, seconds since the epoch.
    pub(super) last_verified: Option<f64>,
    /// For which there is no room, and why.
    pub(super) no_space: Vec<String>,
    /// Which it cannot have without somebody's help, and why.
    pub(super) stuck: Vec<String>,
}

impl Holding {
    pub(super) fn of(picture: &Picture, node: &NodeId) -> Self {
        let models = &picture.agreed.state.models;
        let mut holding = Self {
            promoted: models.len(),
            of_bytes: models.values().map(|record| record.current.size).sum(),
            ..Self::default()
        };
        let Some(facts) = picture.model_facts(node) else { return holding };
        holding.trouble.clone_from(&facts.trouble);
        holding.free_bytes = facts.free_bytes;
        let mut last = 0;
        for (name, record) in models {
            holding.verified += usize::from(facts.held(name, record) == Some(HeldState::Verified));
            let sha256 = record.current.sha256;
            let Some(file) = facts.files.iter().find(|file| file.name == *name && file.sha256 == sha256) else {
                continue;
            };
            holding.have_bytes += file.have.min(file.size);
            last = last.max(file.verified_at_ms);
            match file.state {
                ModelState::Fetching => holding.bytes_per_second += file.bytes_per_second,
                ModelState::NoSpace => holding.no_space.push(format!("{name}: {}", file.trouble)),
                ModelState::Stuck => holding.stuck.push(format!("{name}: {}", file.trouble)),
                ModelState::Verified | ModelState::Outdated => {}
            }
        }
        holding.last_verified = (last > 0).then_some(last as f64 / 1000.0);
        holding
    }

    /// How many of how many it has, for people.
    pub(super) fn count(&self) -> String {
        format!("{} of {} models", self.verified, self.promoted)
    }
}
