use globset::{Glob, GlobMatcher};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::NodeId;

/// How fast files may travel: `auto_sync` of the hosts file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AutoSync {
    /// Megabits per second for hosts that no pattern names.
    pub bandwidth_limit_mbps: Option<u64>,
    /// Patterns of host names, in the order of the file.
    #[serde(serialize_with = "as_map")]
    pub host_bandwidth_overrides: Vec<BandwidthOverride>,
}

/// One line of `host_bandwidth_overrides`.
#[derive(Debug, Clone)]
pub struct BandwidthOverride {
    pub(super) pattern: GlobMatcher,
    /// Megabits per second.
    pub mbps: u64,
    pub(super) line: usize,
}

impl AutoSync {
    /// Megabits per second for `host`: its own line, else the first pattern that fits, else the limit for all.
    pub fn limit_mbps(&self, host: &NodeId) -> Option<u64> {
        let lines = &self.host_bandwidth_overrides;
        let own = lines.iter().find(|line| line.pattern() == host.as_str());
        let fits = || lines.iter().find(|line| line.matches(host));
        own.or_else(fits).map(|line| line.mbps).or(self.bandwidth_limit_mbps)
    }
}

impl BandwidthOverride {
    pub(super) fn new(pattern: &str, mbps: u64, line: usize) -> Result<Self, globset::Error> {
        Ok(Self { pattern: Glob::new(pattern)?.compile_matcher(), mbps, line })
    }

    /// The pattern as the file has it: `vast-*`.
    pub fn pattern(&self) -> &str {
        self.pattern.glob().glob()
    }

    /// Whether the pattern fits a host's name.
    pub fn matches(&self, host: &NodeId) -> bool {
        self.pattern.is_match(host.as_str())
    }
}

fn as_map<S: Serializer>(lines: &[BandwidthOverride], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(lines.len()))?;
    for line in lines {
        map.serialize_entry(line.pattern(), &line.mbps)?;
    }
    map.end()
}
