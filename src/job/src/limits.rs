use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Bytes, Percent};

/// What a job may use. What is not said is not limited beyond what its slice allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Above it the job is slowed down and its memory reclaimed (systemd.resource-control(5), `MemoryHigh=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<Bytes>,
    /// Above it the job is killed (`MemoryMax=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<Bytes>,
    /// Processor time at most (`CPUQuota=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<Percent>,
    /// Its part of contended processors, 1 to 10000, 100 being everybody's (`CPUWeight=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<u16>,
    /// Its part of a contended disk, likewise (`IOWeight=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    /// Processes and threads at most (`TasksMax=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_max: Option<u64>,
    /// The processors that it runs on (`AllowedCPUs=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_cpus: Option<CpuSet>,
}

/// Why limits cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A weight that systemd does not take.
    #[error("{0} is {1}: expected a weight from 1 to 10000")]
    Weight(&'static str, u16),
    /// Nothing runs with that.
    #[error("{0} is 0: nothing could run")]
    Nothing(&'static str),
    /// It would be killed before it is slowed down.
    #[error("memory_high ({high}) is above memory_max ({max})")]
    Order {
        /// `memory_high`.
        high: Bytes,
        /// `memory_max`.
        max: Bytes,
    },
}

impl Limits {
    /// The names of all limits, as settings and requests spell them.
    pub const NAMES: [&str; 7] =
        ["memory_high", "memory_max", "cpu_quota", "cpu_weight", "io_weight", "tasks_max", "allowed_cpus"];

    /// Whether they can be meant.
    pub fn check(&self) -> Result<(), LimitsError> {
        for (name, weight) in [("cpu_weight", self.cpu_weight), ("io_weight", self.io_weight)] {
            if let Some(weight) = weight.filter(|weight| !(1..=10_000).contains(weight)) {
                return Err(LimitsError::Weight(name, weight));
            }
        }
        let sizes = [("memory_high", self.memory_high), ("memory_max", self.memory_max)];
        if let Some((name, _)) = sizes.into_iter().find(|(_, size)| *size == Some(Bytes(0))) {
            return Err(LimitsError::Nothing(name));
        }
        if self.tasks_max == Some(0) {
            return Err(LimitsError::Nothing("tasks_max"));
        }
        match (self.memory_high, self.memory_max) {
            (Some(high), Some(max)) if high > max => Err(LimitsError::Order { high, max }),
            _ => Ok(()),
        }
    }

    /// These, and for what they leave open `other`'s.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            memory_high: self.memory_high.or(other.memory_high),
            memory_max: self.memory_max.or(other.memory_max),
            cpu_quota: self.cpu_quota.or(other.cpu_quota),
            cpu_weight: self.cpu_weight.or(other.cpu_weight),
            io_weight: self.io_weight.or(other.io_weight),
            tasks_max: self.tasks_max.or(other.tasks_max),
            allowed_cpus: self.allowed_cpus.clone().or_else(|| other.allowed_cpus.clone()),
        }
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Some processors: `0-3,8`.
#[derive(Clone, PartialEq, Eq)]
pub struct CpuSet(Vec<(u16, u16)>);

impl CpuSet {
    /// More than any host has.
    pub const MAX_CPU: u16 = 8191;

    /// Ranges of processors, both ends included, in order and apart.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// As systemd's `AllowedCPUs` property takes it: one bit for each processor, the lowest first.
    pub fn mask(&self) -> Vec<u8> {
        let last = self.0.last().map_or(0, |(_, last)| usize::from(*last));
        let mut mask = vec![0; last / 8 + 1];
        for cpu in self.0.iter().flat_map(|(first, last)| *first..=*last) {
            mask[usize::from(cpu) / 8] |= 1 << (cpu % 8);
        }
        mask
    }
}

impl FromStr for CpuSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected processors such as 0-3,8, found {text:?}");
        let number = |text: &str| text.trim().parse().ok().filter(|cpu| *cpu <= Self::MAX_CPU);
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (number(first), number(last)) {
                (Some(first), Some(last)) if first <= last => ranges.push((first, last)),
                _ => return Err(wrong()),
            }
        }
        ranges.sort_unstable();
        let mut apart: Vec<(u16, u16)> = Vec::new();
        for (first, last) in ranges {
            match apart.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => apart.push((first, last)),
            }
        }
        Ok(Self(apart))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |(first, last): &(u16, u16)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        f.pad(&self.0.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for CpuSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u16),
            Text(String),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Number(one) => one.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_merged_and_written() {
        for (text, written, mask) in [
            ("0", "0", &[1][..]),
            ("0-3,8", "0-3,8", &[15, 1]),
            ("8,0-3,2-5,6", "0-6,8", &[127, 1]),
            ("7,7", "7", &[128]),
        ] {
            let set: CpuSet = text.parse().unwrap();
            assert_eq!(set.to_string(), written);
            assert_eq!(set.mask(), mask, "{text}");
        }
        for text in ["", "a", "3-1", "-1", "0-", "0-9999", "1,,2"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn limits_that_cannot_be_meant_are_refused() {
        let read = |text: &str| serde_yaml::from_str::<Limits>(text).unwrap().check();
        assert_eq!(read("{memory_high: 3G, memory_max: 4G, cpu_quota: 200%, tasks_max: 9, allowed_cpus: 0-1}"), Ok(()));
        assert!(matches!(read("{memory_high: 5G, memory_max: 4G}"), Err(LimitsError::Order { .. })));
        assert_eq!(read("{cpu_weight: 0}"), Err(LimitsError::Weight("cpu_weight", 0)));
        assert_eq!(read("{io_weight: 10001}"), Err(LimitsError::Weight("io_weight", 10_001)));
        assert_eq!(read("{tasks_max: 0}"), Err(LimitsError::Nothing("tasks_max")));
        assert_eq!(read("{memory_max: 0}"), Err(LimitsError::Nothing("memory_max")));
        assert!(serde_yaml::from_str::<Limits>("{memory: 4G}").is_err());
    }

    #[test]
    fn what_is_left_open_is_taken_from_the_other() {
        let own = Limits { memory_max: Some(Bytes(1)), ..Limits::default() };
        let class = Limits { memory_max: Some(Bytes(2)), tasks_max: Some(3), ..Limits::default() };
        assert_eq!(own.or(&class), Limits { memory_max: Some(Bytes(1)), tasks_max: Some(3), ..Limits::default() });
    }
}
