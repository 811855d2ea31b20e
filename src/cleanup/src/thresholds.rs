use std::path::PathBuf;

use ringrift_config::HostsFile;
use serde::Serialize;
use serde_yaml::Value;

use crate::error::CleanupError;

/// What the hosts file says of disks, in `sync_routing` and `disk_management`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thresholds {
    /// `sync_routing.max_disk_usage_percent`: above it room is needed.
    pub max_percent: f64,
    /// `sync_routing.target_disk_usage_percent`: room is made down to here.
    pub target_percent: f64,
    /// `sync_routing.min_free_disk_percent`: with less free than this room is needed too.
    pub min_free_percent: f64,
    /// `sync_routing.replication_target`: training data goes only if so many others have it.
    pub replicas: usize,
    /// `disk_management.rotating_pool`, if it is enabled.
    pub pool: Option<Pool>,
}

/// Folders of copies that come and go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pool {
    /// Below the node's folder.
    pub folders: Vec<PathBuf>,
    /// How much of the disk they may take together.
    pub quota_percent: f64,
    /// The quota is never below this.
    pub min_bytes: u64,
    /// Nor above this.
    pub max_bytes: u64,
    /// What is younger stays.
    pub age_seconds: f64,
    /// Whether they are the first to go when room is needed.
    pub first: bool,
}

impl Default for Thresholds {
    /// Those of the program that came before.
    fn default() -> Self {
        Self { max_percent: 70.0, target_percent: 60.0, min_free_percent: 15.0, replicas: 3, pool: None }
    }
}

impl Pool {
    /// How many bytes they may take on a disk of this size.
    pub fn quota(&self, disk_bytes: u64) -> u64 {
        let share = (disk_bytes as f64 * self.quota_percent / 100.0) as u64;
        share.max(self.min_bytes).min(self.max_bytes)
    }
}

impl Thresholds {
    /// Those of a hosts file.
    ///
    /// # Errors
    ///
    /// If a threshold is no number, or they are the wrong way round: a cleanup that goes by a misread threshold deletes too much.
    pub fn of(file: &HostsFile) -> Result<Self, CleanupError> {
        let defaults = Self::default();
        let routing = Section { name: "sync_routing", value: file.extra.get("sync_routing") };
        let found = Self {
            max_percent: routing.percent("max_disk_usage_percent", defaults.max_percent)?,
            target_percent: routing.percent("target_disk_usage_percent", defaults.target_percent)?,
            min_free_percent: routing.percent("min_free_disk_percent", defaults.min_free_percent)?,
            replicas: routing.number(
                "replication_target",
                defaults.replicas as f64,
                "a number, 1 or more",
                1.0..=1e6,
            )? as usize,
            pool: pool(file)?,
        };
        if found.target_percent > found.max_percent {
            return Err(CleanupError::Threshold {
                key: "sync_routing.target_disk_usage_percent".to_owned(),
                expected: "no more than max_disk_usage_percent",
                found: format!("{} above {}", found.target_percent, found.max_percent),
            });
        }
        Ok(found)
    }
}

fn pool(file: &HostsFile) -> Result<Option<Pool>, CleanupError> {
    const GIB: f64 = (1_u64 << 30) as f64;
    const NAME: &str = "disk_management.rotating_pool";
    let Some(value) = file.extra.get("disk_management").and_then(|value| value.get("rotating_pool")) else {
        return Ok(None);
    };
    let section = Section { name: NAME, value: Some(value) };
    if !section.switch("enabled", false)? {
        return Ok(None);
    }
    let gigabytes = |key, default| section.number(key, default, "gigabytes, 0 or more", 0.0..=1e9);
    let mut folders = Vec::new();
    for folder in value.get("pool_subdirs").and_then(Value::as_sequence).into_iter().flatten() {
        let inside = |text: &&str| {
            let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
            std::path::Path::new(text).components().all(plain)
        };
        let Some(text) = folder.as_str().filter(inside) else {
            return Err(CleanupError::Threshold {
                key: format!("{NAME}.pool_subdirs"),
                expected: "folders below the node's, without ..",
                found: format!("{folder:?}"),
            });
        };
        folders.push(PathBuf::from(text));
    }
    Ok(Some(Pool {
        folders,
        quota_percent: section.percent("quota_percent", 10.0)?,
        min_bytes: (gigabytes("min_quota_gb", 5.0)? * GIB) as u64,
        max_bytes: (gigabytes("max_quota_gb", 100.0)? * GIB) as u64,
        age_seconds: section.number("cleanup_age_hours", 24.0, "hours, 0 or more", 0.0..=1e6)? * 3_600.0,
        first: section.switch("priority_cleanup_on_pressure", true)?,
    }))
}

struct Section<'a> {
    name: &'static str,
    value: Option<&'a Value>,
}

impl Section<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.value?.get(key).filter(|value| !value.is_null())
    }

    fn number(
        &self,
        key: &str,
        default: f64,
        expected: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, CleanupError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_f64().filter(|number| range.contains(number)).ok_or_else(|| self.wrong(key, expected, value))
    }

    fn percent(&self, key: &str, default: f64) -> Result<f64, CleanupError> {
        self.number(key, default, "percent, 0 to 100", 0.0..=100.0)
    }

    fn switch(&self, key: &str, default: bool) -> Result<bool, CleanupError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false", value))
    }

    fn wrong(&self, key: &str, expected: &'static str, found: &Value) -> CleanupError {
        CleanupError::Threshold { key: format!("{}.{key}", self.name), expected, found: format!("{found:?}") }
    }
}
