use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no name of this sort.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {what}: expected {expected}")]
pub struct InvalidName {
    what: &'static str,
    expected: &'static str,
    found: String,
}

impl InvalidName {
    fn new(what: &'static str, expected: &'static str, found: &str) -> Self {
        Self { what, expected, found: found.chars().take(80).collect() }
    }

    pub(crate) fn kind(found: &str) -> Self {
        Self::new("kind of job", "selfplay, training or evaluation", found)
    }
}

/// Defines a text with rules of its own, cheap to clone.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(InvalidName::new($what, $expected, text)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_word(text: &str, longest: usize, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || inner.contains(b))
}

name!(
    /// The name of a class of jobs, as settings define it: `selfplay`, `gpu_selfplay`, `training` …
    ClassName,
    "class of jobs",
    "1 to 32 lower-case letters, digits and '_', beginning with a letter",
    |text| is_word(text, 32, b"_")
);

name!(
    /// The name of a job, unique in the cluster for ever: it is part of a unit's name, of file names and of log lines.
    ///
    /// The proposer makes it before the job is agreed on, so that a request that is repeated names the same job.
    JobId,
    "job id",
    "1 to 80 lower-case letters, digits, '_' and '-', beginning with a letter",
    |text| is_word(text, 80, b"_-")
);

impl JobId {
    /// A new id: the class, and 50 bits of chance in letters that cannot be taken for one another.
    pub fn new(class: &ClassName, chance: u64) -> Self {
        const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let word: String = (0..10).map(|n| char::from(LETTERS[(chance >> (5 * n)) as usize & 31])).collect();
        Self(format!("{class}-{word}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_units_and_files() {
        for (text, class, job) in [
            ("selfplay", true, true),
            ("gpu_selfplay", true, true),
            ("selfplay-0abc", false, true),
            ("", false, false),
            ("a", true, true),
            ("Selfplay", false, false),
            ("9a", false, false),
            ("a-", false, false),
            ("a_", false, false),
            ("../a", false, false),
            ("a@b", false, false),
            ("a.b", false, false),
            ("a b", false, false),
        ] {
            assert_eq!(text.parse::<ClassName>().is_ok(), class, "{text:?}");
            assert_eq!(text.parse::<JobId>().is_ok(), job, "{text:?}");
        }
        assert!("a".repeat(32).parse::<ClassName>().is_ok());
        assert!("a".repeat(33).parse::<ClassName>().is_err());
    }

    #[test]
    fn a_new_id_is_valid_whatever_the_chance() {
        let class: ClassName = "gpu_selfplay".parse().unwrap();
        for chance in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = JobId::new(&class, chance);
            assert_eq!(id.as_str().parse::<JobId>().unwrap(), id);
        }
        assert_eq!(JobId::new(&class, 0).as_str(), "gpu_selfplay-0000000000");
        assert_ne!(JobId::new(&class, 1), JobId::new(&class, 2));
    }
}
