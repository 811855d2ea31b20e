use serde::{Deserialize, Serialize};

/// The load of this host, or of the container that the daemon runs in where that has limits of its own.
///
/// Percentages are 0 to 100, whatever the number of CPUs; sizes are in GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPUs that may be used; a container's quota is rounded up.
    pub cpu_count: u32,
    /// How busy they are, smoothed over about fifteen seconds.
    pub cpu_percent: f64,
    /// Memory that may be used.
    pub memory_gb: f64,
    /// How much of it cannot be had any more.
    pub memory_percent: f64,
    /// How full the filesystem of the data directory is, as `df` counts it.
    pub disk_percent: f64,
    /// What an unprivileged process may still write there.
    pub disk_free_gb: f64,
}
