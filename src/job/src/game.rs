use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A board of the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Board {
    /// The small hexagon.
    Hex8,
    /// 8 by 8.
    Square8,
    /// 19 by 19.
    Square19,
    /// The large hexagon.
    Hexagonal,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hex8, Self::Square8, Self::Square19, Self::Hexagonal];

    /// As files and clients spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hex8 => "hex8",
            Self::Square8 => "square8",
            Self::Square19 => "square19",
            Self::Hexagonal => "hexagonal",
        }
    }
}

/// A board and a number of players: what a model is for. Written `hex8_2p`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GameConfig {
    /// The board.
    pub board: Board,
    /// 2 to 4.
    players: u8,
}

/// Why a text is no [`GameConfig`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no configuration of the game: expected a board (hex8, square8, square19, hexagonal) and 2p to 4p, such as hex8_2p"
)]
pub struct InvalidGameConfig(String);

impl GameConfig {
    /// Of a board with so many players; `None` unless there are 2 to 4.
    pub fn new(board: Board, players: u8) -> Option<Self> {
        (2..=4).contains(&players).then_some(Self { board, players })
    }

    /// The twelve of them, boards in order and then players.
    pub fn all() -> impl Iterator<Item = Self> {
        Board::ALL.into_iter().flat_map(|board| (2..=4).map(move |players| Self { board, players }))
    }

    /// How many play.
    pub fn players(self) -> u8 {
        self.players
    }

    /// The file name of its model.
    pub fn model_file(self) -> String {
        format!("canonical_{self}.pth")
    }
}

impl fmt::Display for GameConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}_{}p", self.board.as_str(), self.players))
    }
}

impl fmt::Debug for GameConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GameConfig {
    type Err = InvalidGameConfig;

    fn from_str(text: &str) -> Result<Self, InvalidGameConfig> {
        let wrong = || InvalidGameConfig(text.chars().take(80).collect());
        Self::all().find(|config| config.to_string() == text).ok_or_else(wrong)
    }
}

impl Serialize for GameConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GameConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twelve_and_each_is_read_as_it_is_written() {
        let all: Vec<_> = GameConfig::all().collect();
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|config| config.to_string().parse() == Ok(*config)));
        assert_eq!(all[0].model_file(), "canonical_hex8_2p.pth");
        for text in ["", "hex8", "hex8_5p", "hex8_2", "HEX8_2p", "chess_2p"] {
            assert!(text.parse::<GameConfig>().is_err(), "{text:?}");
        }
    }
}
