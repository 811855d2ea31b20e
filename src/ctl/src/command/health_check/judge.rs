use ringrift_config::Host;

use super::{
    facts::{Facts, major},
    script::needs_torch,
};

/// How well a node is, in the runbook's marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// ✅
    Well,
    /// ⚠️
    Warning,
    /// ❌
    Bad,
}

/// What is wrong, and what mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) about: About,
    pub(crate) mark: Mark,
    pub(crate) text: String,
    pub(crate) remedy: String,
    /// Whether `--fix` can mend it.
    pub(super) repair: Option<Repair>,
}

/// What something wrong is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Ports that are closed, from here or from there.
    Firewall,
    Clock,
    Disk,
    /// GPUs, their driver, PyTorch.
    Jobs,
}

/// The repairs that `--fix` knows. Each can be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// Let systemd keep the clock right.
    SetNtp,
    /// Open these ports in ufw.
    OpenPorts(Vec<u16>),
    /// Install what the program needs into its Python environment.
    InstallRequirements,
}

/// Clocks further apart confuse whoever compares logs; certificates and signed requests have more to spare.
const SKEW_SECONDS: f64 = 2.0;

impl Mark {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Well => "✅",
            Self::Warning => "⚠️",
            Self::Bad => "❌",
        }
    }
}

/// The parts of the runbook's line after the name, and what is wrong.
pub(super) fn judge(host: &Host, facts: &Facts, low_disk_gb: u64, closed: &[u16]) -> (Vec<String>, Vec<Finding>) {
    let mut parts = vec!["reachable".to_owned()];
    let mut findings = Vec::new();
    if needs_torch(host) {
        torch(host, facts, &mut parts, &mut findings);
    }
    if let Some(expected) = host.gpu.as_ref().filter(|_| !host.is_macos()) {
        gpus(expected.count, facts, &mut findings);
    }
    if let Some(free) = facts.free_gb {
        let low = free < low_disk_gb;
        parts.push(format!("disk: {free}GB free{}", if low { " (low!)" } else { "" }));
        if low {
            findings.push(Finding {
                about: About::Disk,
                mark: Mark::Warning,
                text: format!("{free} GB are free, fewer than {low_disk_gb}"),
                remedy: "`ringriftctl data cleanup` shows what may go".to_owned(),
                repair: None,
            });
        }
    }
    if let Some(skew) = facts.skew.filter(|skew| skew.abs() > SKEW_SECONDS) {
        let way = if skew > 0.0 { "ahead" } else { "behind" };
        parts.push(format!("clock {:.0} s {way}", skew.abs()));
        findings.push(Finding {
            about: About::Clock,
            mark: Mark::Warning,
            text: format!("its clock is {:.1} s {way}", skew.abs()),
            remedy: "`sudo timedatectl set-ntp true` there".to_owned(),
            repair: (facts.ntp == Some(false)).then_some(Repair::SetNtp),
        });
    }
    if !closed.is_empty() {
        let list = closed.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        parts.push(format!("ports closed: {list}"));
        let open: Vec<String> = closed.iter().map(|port| format!("sudo ufw allow {port}/tcp")).collect();
        findings.push(Finding {
            about: About::Firewall,
            mark: Mark::Warning,
            text: format!("from here its ports {list} are not reached"),
            remedy: format!("is the daemon running (`ringriftctl cluster check`)? Else `{}` there", open.join(" && ")),
            repair: facts.ufw.then(|| Repair::OpenPorts(closed.to_vec())),
        });
    }
    (parts, findings)
}

fn torch(host: &Host, facts: &Facts, parts: &mut Vec<String>, findings: &mut Vec<Finding>) {
    let Some(_) = &facts.torch else {
        parts.push("pytorch_missing".to_owned());
        let why = facts.torch_error.as_deref().unwrap_or("python3 said nothing");
        findings.push(Finding {
            about: About::Jobs,
            mark: Mark::Bad,
            text: format!("PyTorch cannot be loaded: {why}"),
            remedy: format!(
                "`{} && pip install -r requirements.txt` in {} there",
                host.venv_activate.as_deref().unwrap_or("source venv/bin/activate"),
                host.ringrift_path.as_deref().unwrap_or("ringrift_path")
            ),
            repair: why.contains("No module named").then_some(Repair::InstallRequirements),
        });
        return;
    };
    parts.push("pytorch_ok".to_owned());
    match (facts.torch_gpus, &host.gpu) {
        (0, None) => {}
        (0, Some(_)) if host.is_macos() => {}
        (0, Some(_)) => {
            parts.push("cuda_unavailable".to_owned());
            findings.push(Finding {
                about: About::Jobs,
                mark: Mark::Bad,
                text: "PyTorch sees no GPU".to_owned(),
                remedy: "verify the driver (`sudo apt install nvidia-driver-535`), then restart the machine".to_owned(),
                repair: None,
            });
        }
        (1, _) => parts.push("cuda_available (1 GPU)".to_owned()),
        (count, _) => parts.push(format!("cuda_available ({count} GPUs)")),
    }
}

/// The driver against the runbook's minimum, and the number of GPUs against the hosts file's.
fn gpus(expected: u32, facts: &Facts, findings: &mut Vec<Finding>) {
    let found = facts.gpus.len() as u32;
    if found != expected {
        findings.push(Finding {
            about: About::Jobs,
            mark: Mark::Warning,
            text: format!("the hosts file names {expected} GPUs, and the driver shows {found}"),
            remedy: "`nvidia-smi` there; correct `gpu:` in the hosts file if it is right".to_owned(),
            repair: None,
        });
    }
    let Some(driver) = &facts.driver else { return };
    // Runbook: "NVIDIA driver 525+ for CUDA 12. For older CUDA 11.8, driver 450+ is sufficient".
    let (cuda, least) = match facts.torch_cuda.as_deref().and_then(major) {
        Some(..12) => ("CUDA 11", 450),
        Some(12..) | None => ("CUDA 12", 525),
    };
    if major(driver).is_some_and(|driver| driver < least) {
        findings.push(Finding {
            about: About::Jobs,
            mark: Mark::Warning,
            text: format!("driver {driver} is older than {least}, which {cuda} needs"),
            remedy: "`sudo apt install nvidia-driver-535` there, then restart it".to_owned(),
            repair: None,
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::path::Path;

    use ringrift_config::HostsFile;

    use super::*;

    fn host(text: &str) -> Host {
        let text = format!("hosts:\n  n: {{status: ready, ringrift_path: ~/r, {text}}}\n");
        HostsFile::parse(&text, Path::new("hosts.yaml")).unwrap().hosts.into_values().next().unwrap()
    }

    fn facts(text: &str, skew: f64) -> Facts {
        Facts::read(&text.lines().map(str::to_owned).collect::<Vec<_>>(), Some(skew))
    }

    const WELL: &str =
        "free_kb=440000000\ngpu=535.104.05, NVIDIA GH200, 97871, 31\ntorch=2.3.0\ntorch_cuda=12.1\ngpus=1";

    #[test]
    fn the_line_is_the_runbooks() {
        for (spec, told, skew, closed, line, mark) in [
            (
                "role: mixed, gpu: GH200 96GB",
                WELL,
                0.1,
                vec![],
                "reachable, pytorch_ok, cuda_available (1 GPU), disk: 450GB free",
                Mark::Well,
            ),
            (
                "role: mixed, gpu: 2x GH200",
                "free_kb=48900000\ngpu=535.1, A, 1, 1\ngpu=535.1, A, 1, 1\ntorch=2\ntorch_cuda=12.1\ngpus=2",
                0.0,
                vec![],
                "reachable, pytorch_ok, cuda_available (2 GPUs), disk: 50GB free (low!)",
                Mark::Warning,
            ),
            (
                "role: cpu_selfplay",
                "free_kb=440000000\ntorch=2\ntorch_cuda=\ngpus=0",
                0.0,
                vec![],
                "reachable, pytorch_ok, disk: 450GB free",
                Mark::Well,
            ),
            (
                "role: coordinator",
                "free_kb=440000000",
                -7.4,
                vec![],
                "reachable, disk: 450GB free, clock 7 s behind",
                Mark::Warning,
            ),
            (
                "role: selfplay",
                "free_kb=440000000\ntorch_error=ModuleNotFoundError: No module named 'torch'",
                0.0,
                vec![8765, 8770],
                "reachable, pytorch_missing, disk: 450GB free, ports closed: 8765, 8770",
                Mark::Bad,
            ),
            (
                "role: selfplay, gpu: RTX 4090",
                "free_kb=440000000\ngpu=NVIDIA-SMI has failed because it couldn't communicate\ntorch=2\ngpus=0",
                0.0,
                vec![],
                "reachable, pytorch_ok, cuda_unavailable, disk: 450GB free",
                Mark::Bad,
            ),
        ] {
            let (parts, findings) = judge(&host(spec), &facts(told, skew), 100, &closed);
            assert_eq!(parts.join(", "), line);
            assert_eq!(findings.iter().map(|f| f.mark).max().unwrap_or(Mark::Well), mark, "{findings:?}");
        }
    }

    #[test]
    fn a_driver_is_old_for_the_cuda_that_pytorch_was_built_with() {
        for (driver, cuda, old) in [
            ("470.2", "12.1", true),
            ("470.2", "11.8", false),
            ("440.1", "11.8", true),
            ("525.60", "12.4", false),
            ("524.9", "13.0", true),
        ] {
            let told = WELL.replace("535.104.05", driver).replace("12.1", cuda);
            let (_, findings) = judge(&host("role: mixed, gpu: GH200"), &facts(&told, 0.0), 100, &[]);
            assert_eq!(findings.iter().any(|f| f.text.starts_with("driver ")), old, "{driver} {cuda}: {findings:?}");
        }
    }

    #[test]
    fn only_what_can_be_undone_is_repaired() {
        let told = "torch_error=No module named torch\nntp=no\nufw=Status: active";
        let (_, findings) = judge(&host("role: selfplay"), &facts(told, 9.0), 100, &[8770]);
        let repairs: Vec<Repair> = findings.into_iter().filter_map(|finding| finding.repair).collect();
        assert_eq!(repairs, [Repair::InstallRequirements, Repair::SetNtp, Repair::OpenPorts(vec![8770])]);
        let (_, findings) = judge(
            &host("role: selfplay"),
            &facts("torch_error=bash: no venv\nntp=yes\nufw=Status: inactive", 9.0),
            100,
            &[8770],
        );
        assert!(findings.iter().all(|finding| finding.repair.is_none()), "{findings:?}");
    }
}
