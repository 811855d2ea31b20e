use std::{fs, path::Path};

use ringrift_job::{CpuSet, Limits};
use ringrift_systemd::zbus::Variant;

/// Where the NVIDIA driver tells about its GPUs, one folder each, named by bus address.
pub(super) const NVIDIA_GPUS: &str = "/proc/driver/nvidia/gpus";

/// The number that Linux gave to NVIDIA's devices (`Documentation/admin-guide/devices.txt`).
const NVIDIA_MAJOR: u32 = 195;
/// `/dev/nvidiactl`, which every program that uses a GPU opens.
const NVIDIA_CONTROL_MINOR: u32 = 255;

type Property = (&'static str, Variant<'static>);

/// Limits as properties of a unit, all of them: what is left open is open.
pub(super) fn of_limits(limits: &Limits) -> Vec<Property> {
    // systemd's way to say that there is none, of a size and of a weight alike.
    const NONE: u64 = u64::MAX;
    let weight = |weight: Option<u16>| Variant::from(weight.map_or(NONE, u64::from));
    let mask = limits.allowed_cpus.as_ref().map(CpuSet::mask).unwrap_or_default();
    vec![
        ("MemoryHigh", Variant::from(limits.memory_high.map_or(NONE, |size| size.0))),
        ("MemoryMax", Variant::from(limits.memory_max.map_or(NONE, |size| size.0))),
        // Microseconds of processor time in a second.
        ("CPUQuotaPerSecUSec", Variant::from(limits.cpu_quota.map_or(NONE, |part| u64::from(part.0) * 10_000))),
        ("CPUWeight", weight(limits.cpu_weight)),
        ("IOWeight", weight(limits.io_weight)),
        ("TasksMax", Variant::from(limits.tasks_max.unwrap_or(NONE))),
        ("AllowedCPUs", Variant::from(mask)),
    ]
}

/// The devices that a job with these GPUs may open, in place of all GPUs, which the template allows.
///
/// Without a GPU it is none. Where the driver does not tell which device is which GPU, the template's word stays, and
/// `CUDA_VISIBLE_DEVICES` alone keeps jobs apart.
pub(super) fn of_gpus(gpus: &[u32], driver: &Path) -> Vec<Property> {
    let mut allowed: Vec<(String, String)> = Vec::new();
    if !gpus.is_empty() {
        let Some(minors) = minors(gpus, driver) else { return Vec::new() };
        let nodes = minors.into_iter().chain([NVIDIA_CONTROL_MINOR]);
        // By number: a node that is made only when the driver is first used can be allowed before it is there.
        allowed.extend(nodes.map(|minor| (format!("/dev/char/{NVIDIA_MAJOR}:{minor}"), "rw".to_owned())));
        allowed.extend(["char-nvidia-uvm", "char-nvidia-caps"].map(|class| (class.to_owned(), "rw".to_owned())));
    }
    // The empty list forgets the template's.
    vec![("DeviceAllow", Variant::from(Vec::<(String, String)>::new())), ("DeviceAllow", Variant::from(allowed))]
}

/// The minor numbers of GPUs, which are counted by their bus address, as NVML does.
fn minors(gpus: &[u32], driver: &Path) -> Option<Vec<u32>> {
    let mut by_bus: Vec<_> = fs::read_dir(driver).ok()?.flatten().map(|entry| entry.path()).collect();
    by_bus.sort();
    let minor_of = |gpu: &u32| {
        let text = fs::read_to_string(by_bus.get(usize::try_from(*gpu).ok()?)?.join("information")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Device Minor:")).and_then(|number| number.trim().parse().ok())
    };
    gpus.iter().map(minor_of).collect()
}

#[cfg(test)]
mod tests {
    use ringrift_job::{Bytes, Percent};

    use super::*;

    fn shown(properties: &[Property]) -> Vec<String> {
        properties.iter().map(|(name, value)| format!("{name} {} {value}", value.value_signature())).collect()
    }

    #[test]
    fn limits_have_systemds_types_and_units() {
        let limits = Limits {
            memory_high: Some(Bytes(1 << 30)),
            memory_max: Some(Bytes(2 << 30)),
            cpu_quota: Some(Percent(150)),
            cpu_weight: Some(50),
            io_weight: Some(60),
            tasks_max: Some(256),
            allowed_cpus: Some("0-2,8".parse().unwrap()),
        };
        assert_eq!(
            shown(&of_limits(&limits)),
            [
                "MemoryHigh t uint64 1073741824",
                "MemoryMax t uint64 2147483648",
                "CPUQuotaPerSecUSec t uint64 1500000",
                "CPUWeight t uint64 50",
                "IOWeight t uint64 60",
                "TasksMax t uint64 256",
                "AllowedCPUs ay [byte 0x07, 0x01]",
            ]
        );
    }

    #[test]
    fn what_is_left_open_is_lifted() {
        let lifted = shown(&of_limits(&Limits::default()));
        assert_eq!(lifted.iter().filter(|line| line.ends_with(&format!("t uint64 {}", u64::MAX))).count(), 6);
        assert!(lifted.last().unwrap().starts_with("AllowedCPUs ay"), "{lifted:?}");
    }

    #[test]
    fn a_job_opens_its_own_gpus_alone() {
        let driver = tempfile::tempdir().unwrap();
        // The second card on the bus is the driver's first.
        for (bus, minor) in [("0000:01:00.0", 1), ("0000:41:00.0", 0)] {
            fs::create_dir(driver.path().join(bus)).unwrap();
            let text = format!("Model: \t\t A100\nDevice Minor: \t {minor}\n");
            fs::write(driver.path().join(bus).join("information"), text).unwrap();
        }
        let allowed = shown(&of_gpus(&[1], driver.path()));
        assert!(allowed[1].contains("/dev/char/195:0\"") && allowed[1].contains("/dev/char/195:255\""), "{allowed:?}");
        assert!(!allowed[1].contains("195:1\""), "{allowed:?}");
        assert_eq!(of_gpus(&[], driver.path()).len(), 2);
        assert!(of_gpus(&[7], driver.path()).is_empty());
        assert!(of_gpus(&[0], &driver.path().join("no driver")).is_empty());
    }
}
