use serde::{Deserialize, Serialize};

use crate::Bytes;

/// What a node must have free for a job of a class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Needs {
    /// Whole GPUs, or a part of one.
    pub gpu: GpuNeed,
    /// Free memory of each GPU.
    pub vram: Bytes,
    /// Main memory that is set aside for the job.
    pub memory: Bytes,
    /// The newest model of the job's configuration, verified.
    pub model: bool,
}

/// How much of GPUs a job takes. Written `0`, `1`, `2` … or as a share such as `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum GpuNeed {
    /// None.
    #[default]
    None,
    /// So many, each for itself alone.
    Whole(u32),
    /// A part of one, in percent; jobs share a GPU up to 100.
    Share(u32),
}

impl Serialize for GpuNeed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_u32(0),
            Self::Whole(count) => serializer.serialize_u32(*count),
            Self::Share(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for GpuNeed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u32),
            Text(String),
        }
        let wrong = |found: String| {
            serde::de::Error::custom(format!("expected a number of GPUs, or a share of one such as 25%, found {found}"))
        };
        match Written::deserialize(deserializer)? {
            Written::Number(0) => Ok(Self::None),
            Written::Number(count) if count <= 64 => Ok(Self::Whole(count)),
            Written::Number(count) => Err(wrong(count.to_string())),
            Written::Text(text) => {
                let percent = text.strip_suffix('%').and_then(|number| number.parse().ok());
                match percent {
                    Some(percent @ 1..=99) => Ok(Self::Share(percent)),
                    Some(100) => Ok(Self::Whole(1)),
                    _ => Err(wrong(format!("{text:?}"))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_counted_or_shared() {
        for (text, need) in
            [("0", GpuNeed::None), ("2", GpuNeed::Whole(2)), ("25%", GpuNeed::Share(25)), ("100%", GpuNeed::Whole(1))]
        {
            let read: GpuNeed = serde_yaml::from_str(text).unwrap();
            assert_eq!(read, need, "{text}");
            assert_eq!(serde_yaml::from_str::<GpuNeed>(&serde_yaml::to_string(&need).unwrap()).unwrap(), need);
        }
        for text in ["65", "0%", "101%", "one", "-1"] {
            assert!(serde_yaml::from_str::<GpuNeed>(text).is_err(), "{text}");
        }
    }
}
