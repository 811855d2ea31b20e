use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chunked::Chunked;

/// The ids of the latest requests, so that one which is proposed again is applied once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct RecentRequests {
    ids: Chunked<Arc<str>>,
}

impl RecentRequests {
    /// How many ids are remembered. At 100 requests a second this is 10 s, longer than any proposer repeats itself.
    pub const MAX: usize = 1024;
    /// The longest id, in bytes.
    pub const MAX_ID_LEN: usize = 128;

    /// Whether a request with this id was applied lately.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.iter().rev().any(|known| &**known == id)
    }

    /// How many ids are remembered now.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn remember(&mut self, id: &str) {
        while self.ids.len() >= Self::MAX {
            self.ids.pop_front();
        }
        self.ids.push_back(id.into());
    }
}
