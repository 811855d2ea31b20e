use std::collections::BTreeMap;

/// What a node said of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Facts {
    /// Its clock less ours, seconds; positive if it is ahead.
    pub(super) skew: Option<f64>,
    pub(super) free_gb: Option<u64>,
    pub(super) driver: Option<String>,
    /// GPUs that its driver shows, `name, MiB, °C`.
    pub(super) gpus: Vec<String>,
    pub(super) torch: Option<String>,
    pub(super) torch_cuda: Option<String>,
    /// GPUs that PyTorch can use.
    pub(super) torch_gpus: u32,
    pub(super) torch_error: Option<String>,
    /// Whether something keeps its clock right.
    pub(super) ntp: Option<bool>,
    pub(super) ufw: bool,
    /// SHA-256 of its hosts file, where this login may read it and it was asked for.
    pub(super) hosts_file: Option<String>,
    /// The last warning in its daemon's journal, where it was asked for.
    pub(super) warning: Option<String>,
    /// What is said of the way back.
    pub(super) back: String,
}

impl Facts {
    /// From the lines of the script; `skew` was measured when the first of them came.
    pub(super) fn read(lines: &[String], skew: Option<f64>) -> Self {
        let mut one: BTreeMap<&str, &str> = BTreeMap::new();
        let mut gpu_lines = Vec::new();
        for (key, value) in lines.iter().filter_map(|line| line.split_once('=')) {
            match key {
                "gpu" => gpu_lines.push(value.trim()),
                _ => {
                    one.insert(key, value.trim());
                }
            }
        }
        let text = |key: &str| one.get(key).filter(|text| !text.is_empty()).map(|text| (*text).to_owned());
        let number = |key: &str| one.get(key).and_then(|text| text.parse::<u64>().ok());
        // A driver that fails says so where the GPUs should stand.
        let gpus: Vec<(&str, &str)> = gpu_lines
            .iter()
            .filter_map(|line| line.split_once(", "))
            .filter(|(driver, _)| driver.starts_with(|c: char| c.is_ascii_digit()))
            .collect();
        Self {
            skew,
            // As the runbook counts: GB, not GiB.
            free_gb: number("free_kb").map(|kb| kb * 1024 / 1_000_000_000),
            driver: gpus.first().map(|(driver, _)| (*driver).to_owned()),
            gpus: gpus.iter().map(|(_, rest)| (*rest).to_owned()).collect(),
            torch: text("torch"),
            torch_cuda: text("torch_cuda"),
            torch_gpus: number("gpus").unwrap_or_default() as u32,
            torch_error: text("torch_error"),
            ntp: one.get("ntp").and_then(|text| match *text {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            }),
            ufw: one.get("ufw").is_some_and(|text| *text == "Status: active"),
            hosts_file: text("hosts_file"),
            warning: text("warning"),
            back: lines.iter().filter(|line| line.starts_with("back=")).cloned().collect::<Vec<_>>().join("\n"),
        }
    }
}

/// The number before the first dot.
pub(super) fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}
