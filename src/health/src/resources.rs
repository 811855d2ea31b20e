use serde::{Deserialize, Deserializer, Serialize};

/// The load of this host, or of the container that the daemon runs in where that has limits of its own.
///
/// Percentages are 0 to 100, whatever the number of CPUs; sizes are in GiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPUs that may be used; a container's quota is rounded up.
    pub cpu_count: u32,
    /// How busy they are, smoothed over about fifteen seconds.
    #[serde(deserialize_with = "finite")]
    pub cpu_percent: f64,
    /// Memory that may be used.
    #[serde(deserialize_with = "finite")]
    pub memory_gb: f64,
    /// How much of it cannot be had any more.
    #[serde(deserialize_with = "finite")]
    pub memory_percent: f64,
    /// How full the filesystem of the data directory is, as `df` counts it.
    #[serde(deserialize_with = "finite")]
    pub disk_percent: f64,
    /// What an unprivileged process may still write there.
    #[serde(deserialize_with = "finite")]
    pub disk_free_gb: f64,
}

/// Another node's word for a figure: 0 where it is no number, which JSON could not show.
fn finite<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    f64::deserialize(from).map(|figure| if figure.is_finite() { figure } else { 0.0 })
}
