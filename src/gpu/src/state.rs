use serde::{Deserialize, Serialize};

/// How it stands with the driver, in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The settings say not to look.
    Off,
    /// It answers.
    Working,
    /// There is no library to load.
    NoLibrary,
    /// The library is here, the driver is not.
    NoDriver,
    /// The driver answers and has no GPU.
    NoGpu,
    /// The devices are there, and this process may not open them.
    NoPermission,
    /// It worked once, and is gone.
    Vanished,
    /// It does not come back from a call.
    Hung,
    /// It answers with an error.
    Failed,
    /// Nobody has looked yet, or the word is one of a later version.
    #[default]
    #[serde(other)]
    Unknown,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Off,
        Self::Working,
        Self::NoLibrary,
        Self::NoDriver,
        Self::NoGpu,
        Self::NoPermission,
        Self::Vanished,
        Self::Hung,
        Self::Failed,
        Self::Unknown,
    ];

    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Working => "working",
            Self::NoLibrary => "no_library",
            Self::NoDriver => "no_driver",
            Self::NoGpu => "no_gpu",
            Self::NoPermission => "no_permission",
            Self::Vanished => "vanished",
            Self::Hung => "hung",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it was looked, so that what is measured counts and not what a file says.
    pub fn is_measured(self) -> bool {
        !matches!(self, Self::Unknown | Self::Off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_travels_as_its_word_and_a_later_versions_word_is_unknown() {
        for state in State::ALL {
            let json = serde_json::to_string(&state).unwrap();
            assert_eq!(json, format!("\"{}\"", state.as_str()));
            assert_eq!(serde_json::from_str::<State>(&json).unwrap(), state);
        }
        assert_eq!(serde_json::from_str::<State>("\"melted\"").unwrap(), State::Unknown);
    }
}
