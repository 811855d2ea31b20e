use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Digest;

/// The digests of a blob's chunks, in order. Clones share them: they are 20 KB for a model of 174 MB. Hex digits without gaps as text;
/// one string of bytes in binary formats.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ChunkDigests(Arc<[Digest]>);

impl ChunkDigests {
    /// The digest of a chunk.
    pub fn get(&self, index: u32) -> Option<Digest> {
        self.0.get(index as usize).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Digest> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Digest> for ChunkDigests {
    fn from_iter<I: IntoIterator<Item = Digest>>(digests: I) -> Self {
        Self(digests.into_iter().collect())
    }
}

impl fmt::Debug for ChunkDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} digests]", self.0.len())
    }
}

impl Serialize for ChunkDigests {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.collect_str(&Joined(&self.0));
        }
        let bytes: Vec<u8> = self.0.iter().flat_map(|digest| *digest.as_bytes()).collect();
        serializer.serialize_bytes(&bytes)
    }
}

struct Joined<'a>(&'a [Digest]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digest| fmt::Display::fmt(digest, f))
    }
}

impl<'de> Deserialize<'de> for ChunkDigests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ChunkDigests;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the SHA-256 digests of chunks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ChunkDigests, E> {
                let (digests, rest) = text.as_bytes().as_chunks::<{ 2 * Digest::LEN }>();
                if !rest.is_empty() {
                    return Err(E::invalid_length(text.len(), &"a multiple of 64 hex digits"));
                }
                let parse = |digits: &[u8; 2 * Digest::LEN]| {
                    String::from_utf8_lossy(digits).parse::<Digest>().map_err(E::custom)
                };
                digests.iter().map(parse).collect()
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<ChunkDigests, E> {
                let (digests, rest) = bytes.as_chunks::<{ Digest::LEN }>();
                if !rest.is_empty() {
                    return Err(E::invalid_length(bytes.len(), &"a multiple of 32 bytes"));
                }
                Ok(digests.iter().copied().map(Digest::from_bytes).collect())
            }
        }
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_from_text_and_bytes() {
        for count in [0, 1, 5] {
            let digests: ChunkDigests = (0..count).map(|n: u8| Digest::of(&[n])).collect();
            let text = serde_json::to_string(&digests).unwrap();
            assert_eq!(text.len(), 2 + 64 * usize::from(count));
            assert_eq!(serde_json::from_str::<ChunkDigests>(&text).unwrap(), digests);
            let packed = rmp_serde::to_vec(&digests).unwrap();
            assert_eq!(rmp_serde::from_slice::<ChunkDigests>(&packed).unwrap(), digests);
        }
        assert!(serde_json::from_str::<ChunkDigests>("\"abc\"").is_err());
        assert!(serde_json::from_str::<ChunkDigests>(&format!("{:?}", "é".repeat(32))).is_err());
    }
}
