use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The file name of a model: 1 to 128 characters out of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. It cannot leave the
/// directory, nor collide with the hidden files in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

/// Why a text is not a [`ModelName`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the name of a model: 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter or digit"
)]
pub struct InvalidModelName(pub String);

const CANONICAL: &str = "canonical_";
const BEST: &str = "ringrift_best_";
const EXTENSION: &str = ".pth";

impl ModelName {
    /// The longest name, bytes: with the suffixes of temporary files and sidecars it still fits a file name.
    pub const MAX_LEN: usize = 128;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `canonical_hex8_2p.pth` for the configuration `hex8_2p`.
    ///
    /// # Errors
    ///
    /// If the configuration has other characters than a name.
    pub fn canonical(config_key: &str) -> Result<Self, InvalidModelName> {
        format!("{CANONICAL}{config_key}{EXTENSION}").parse()
    }

    /// `hex8_2p` of `canonical_hex8_2p.pth`; `None` for other files.
    pub fn config_key(&self) -> Option<&str> {
        let key = self.0.strip_prefix(CANONICAL)?.strip_suffix(EXTENSION)?;
        (!key.is_empty()).then_some(key)
    }

    /// Board and number of players: `hex8` and 2 of `canonical_hex8_2p.pth`.
    pub fn board_and_players(&self) -> Option<(&str, u32)> {
        let (board, players) = self.config_key()?.rsplit_once('_')?;
        let players = players.strip_suffix('p')?.parse().ok()?;
        (!board.is_empty()).then_some((board, players))
    }

    /// `ringrift_best_hex8_2p.pth`, the link that leads to `canonical_hex8_2p.pth`; `None` for other files.
    pub fn best_link(&self) -> Option<String> {
        self.config_key().map(|key| format!("{BEST}{key}{EXTENSION}"))
    }
}

impl FromStr for ModelName {
    type Err = InvalidModelName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let valid = bytes.len() <= Self::MAX_LEN
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if valid { Ok(Self(text.into())) } else { Err(InvalidModelName(text.chars().take(160).collect())) }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ModelName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ModelName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_name_tells_its_configuration_and_link() {
        let name = ModelName::canonical("square19_3p").unwrap();
        assert_eq!(name.as_str(), "canonical_square19_3p.pth");
        assert_eq!(name.config_key(), Some("square19_3p"));
        assert_eq!(name.board_and_players(), Some(("square19", 3)));
        assert_eq!(name.best_link().as_deref(), Some("ringrift_best_square19_3p.pth"));
        let other: ModelName = "experiment-7.pth".parse().unwrap();
        assert_eq!((other.config_key(), other.board_and_players(), other.best_link()), (None, None, None));
        assert_eq!("canonical_.pth".parse::<ModelName>().unwrap().config_key(), None);
        assert_eq!(ModelName::canonical("hex8").unwrap().board_and_players(), None);
    }

    #[test]
    fn no_name_leaves_the_directory() {
        for text in ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-x", "a\0b", "a b", "é", &"x".repeat(129)] {
            assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        }
        assert!(ModelName::canonical("../../etc/passwd").is_err());
    }
}
