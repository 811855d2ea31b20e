use std::time::Duration;

use crate::{Gpu, State, Versions};

/// What is known of this machine's GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How it stands with the driver.
    pub state: State,
    /// A sentence about it for people; empty while all is well or nobody has looked.
    pub sentence: String,
    /// Versions of the driver, once it has answered.
    pub versions: Versions,
    /// The GPUs. While the driver does not answer they are those that it last had, without figures.
    pub gpus: Vec<Gpu>,
}

impl Report {
    /// The most GPUs of one machine that are looked at.
    pub const MAX_GPUS: u32 = 16;

    /// Not looked, since the settings say so.
    pub fn off() -> Self {
        Self { state: State::Off, ..Self::default() }
    }

    /// The same machine while the driver does not come back from a call.
    pub(crate) fn hung(&self, since: Duration) -> Self {
        Self {
            state: State::Hung,
            sentence: format!("the NVIDIA driver is hung since {} s: a call does not come back", since.as_secs()),
            versions: self.versions.clone(),
            gpus: self.gpus.iter().map(Gpu::without_figures).collect(),
        }
    }

    /// The GPUs that can be used now.
    pub fn usable(&self) -> impl Iterator<Item = &Gpu> {
        self.gpus.iter().filter(|gpu| self.state == State::Working && gpu.trouble.is_none())
    }
}
