//! What nodes send each other: one version byte, then one `MessagePack` map.
//!
//! Maps are keyed by name and unknown keys are skipped, so a later version may add some. A change that an older node
//! would misread needs a new version byte.

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::State;

/// The first byte of every message.
const VERSION: u8 = 1;
/// The longest message that is decoded.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;
/// The largest facts of one node, encoded.
pub(crate) const MAX_FACTS: usize = 64 << 10;
/// The most rows in one list: a full table.
pub(crate) const MAX_ROWS: usize = 4096;
/// Above this an incarnation is garbage: at one refutation a millisecond it takes 8,900 years to get here.
pub(crate) const MAX_INCARNATION: u64 = 1 << 48;

/// A request or an answer; both have the same parts and all but the head may be absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message<'a> {
    /// Who speaks.
    #[serde(borrow)]
    pub(crate) head: Head<'a>,
    /// What the speaker knows, facts left out, in ascending order of id. A request with a digest asks for the difference.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<Vec<Row<'a>>>,
    /// News.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) rows: Vec<Row<'a>>,
    /// Nodes whose newer facts the speaker would like to have.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) wants: Vec<&'a str>,
    /// Request: please try this node for me.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) probe: Option<&'a str>,
    /// Answer: whether it could be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reached: Option<bool>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head<'a> {
    pub(crate) node: &'a str,
    pub(crate) instance: u64,
    pub(crate) incarnation: u64,
    /// Counts the speaker's rounds.
    pub(crate) beat: u64,
    /// The speaker's wall clock, milliseconds since 1970.
    pub(crate) wall_ms: i64,
}

/// What is known of one node. The keys are single letters: a digest has a row for every member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row<'a> {
    #[serde(rename = "n")]
    pub(crate) node: &'a str,
    #[serde(rename = "x")]
    pub(crate) instance: u64,
    #[serde(rename = "i")]
    pub(crate) incarnation: u64,
    #[serde(rename = "s", with = "state_code")]
    pub(crate) state: State,
    /// Version of the facts within this incarnation; 0: the speaker has none.
    #[serde(rename = "v", default, skip_serializing_if = "is_zero")]
    pub(crate) version: u64,
    /// The last beat that is known of the node.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub(crate) beat: u64,
    /// Who accused it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(crate) accuser: Option<&'a str>,
    /// Its facts, encoded by the node itself.
    #[serde(borrow, rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(crate) facts: Option<Raw<'a>>,
}

/// Bytes as one binary value; serde would make a list of numbers of them.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Why some bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the message is empty")]
    Empty,
    #[error("the message has {0} bytes, more than {MAX_MESSAGE}")]
    TooLong(usize),
    #[error("the message has version {0}, this node speaks version {VERSION}")]
    Version(u8),
    #[error("the message cannot be decoded: {0}")]
    Shape(String),
    #[error("the message says that it comes from {0:?}")]
    Speaker(String),
    #[error("{0} holds {1} rows, more than {MAX_ROWS}")]
    TooMany(&'static str, usize),
    #[error("the digest is not in ascending order at {0:?}")]
    Order(String),
    #[error("row {node:?}: {what}")]
    Row { node: String, what: String },
}

impl Message<'_> {
    /// The message as bytes.
    pub(crate) fn encode(&self) -> Bytes {
        let rows = self.digest.as_ref().map_or(0, Vec::len) + self.rows.len() + self.wants.len();
        let facts: usize = self.rows.iter().filter_map(|r| r.facts).map(|f| f.0.len()).sum();
        let mut bytes = Vec::with_capacity(96 + 56 * rows + facts);
        bytes.push(VERSION);
        self.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map())
            .expect("a message has no part that MessagePack cannot hold");
        bytes.into()
    }
}

impl<'a> Message<'a> {
    /// Reads `bytes`, which `from` sent. Whatever it contains, nothing of a message that is refused may be used.
    pub(crate) fn decode(bytes: &'a [u8], from: &str) -> Result<Self, WireError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(WireError::TooLong(bytes.len()));
        }
        let (version, rest) = bytes.split_first().ok_or(WireError::Empty)?;
        if *version != VERSION {
            return Err(WireError::Version(*version));
        }
        let mut decoder = rmp_serde::Deserializer::from_read_ref(rest);
        decoder.set_max_depth(16);
        let message = Message::deserialize(&mut decoder).map_err(|e| WireError::Shape(e.to_string()))?;
        message.check(from)?;
        Ok(message)
    }

    fn check(&self, from: &str) -> Result<(), WireError> {
        if self.head.node != from {
            return Err(WireError::Speaker(self.head.node.chars().take(80).collect()));
        }
        let digest = self.digest.as_deref().unwrap_or_default();
        for (part, len) in [("digest", digest.len()), ("rows", self.rows.len()), ("wants", self.wants.len())] {
            if len > MAX_ROWS {
                return Err(WireError::TooMany(part, len));
            }
        }
        if let Some(pair) = digest.windows(2).find(|pair| pair[0].node >= pair[1].node) {
            return Err(WireError::Order(pair[1].node.chars().take(80).collect()));
        }
        let head = Row {
            node: from,
            instance: self.head.instance,
            incarnation: self.head.incarnation,
            state: State::Alive,
            version: 0,
            beat: self.head.beat,
            accuser: None,
            facts: None,
        };
        std::iter::once(&head).chain(digest).chain(&self.rows).try_for_each(Row::check)
    }
}

impl Row<'_> {
    fn check(&self) -> Result<(), WireError> {
        let refuse = |what: String| Err(WireError::Row { node: self.node.chars().take(80).collect(), what });
        if self.incarnation == 0 || self.incarnation > MAX_INCARNATION {
            return refuse(format!("incarnation {} is not between 1 and {MAX_INCARNATION}", self.incarnation));
        }
        if self.instance == 0 {
            return refuse("instance 0 is nobody".to_owned());
        }
        match self.facts {
            Some(Raw(facts)) if facts.len() > MAX_FACTS => {
                refuse(format!("facts of {} bytes, more than {MAX_FACTS}", facts.len()))
            }
            Some(_) if self.version == 0 => refuse("facts without a version".to_owned()),
            _ => Ok(()),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// States as numbers; [`State::Unseen`] is never told to others.
mod state_code {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::State;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    pub(super) fn serialize<S: Serializer>(state: &State, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(match state {
            State::Unseen => 0,
            State::Alive => 1,
            State::Suspect => 2,
            State::Dead => 3,
            State::Left => 4,
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<State, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Ok(State::Alive),
            2 => Ok(State::Suspect),
            3 => Ok(State::Dead),
            4 => Ok(State::Left),
            other => Err(de::Error::custom(format_args!("{other} is no state"))),
        }
    }
}
