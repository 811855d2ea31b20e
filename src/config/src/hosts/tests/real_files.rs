use std::path::PathBuf;

use super::{super::HostsFile, file};

/// Shape and quirks of the runbook's example: quoted texts, comments at the end of lines, no voters.
const RUNBOOK: &str = "\
hosts:
  # A GPU node
  lambda-gh200-a:
    ssh_host: '100.88.35.19' # tailnet or public address
    ssh_user: 'ubuntu' # who logs in
    ssh_key: '~/.ssh/id_cluster'
    ssh_port: 22 # default
    ringrift_path: '~/ringrift/ai-service'
    venv_activate: 'source ~/ringrift/ai-service/venv/bin/activate'
    status: 'ready' # ready, disabled, maintenance
    role: 'mixed'
    cpus: 32
    memory_gb: 128
    gpu: 'GH200 96GB'
    max_parallel_jobs: 4

    # Optional
    tailscale_ip: '100.88.35.19'

  vast-rtx5090-1:
    ssh_host: '198.51.100.145'
    ssh_user: 'root'
    ssh_key: '~/.ssh/id_ed25519'
    ssh_port: 33085 # mapped
    ringrift_path: '/workspace/ringrift/ai-service'
    venv_activate: 'source /workspace/ringrift/ai-service/venv/bin/activate'
    status: 'ready'
    role: 'selfplay'
    memory_gb: 64
    gpu: 'RTX 5090 24GB'
    max_parallel_jobs: 2

  hetzner-cpu-1:
    ssh_host: '198.51.100.85'
    ssh_user: 'root'
    ringrift_path: '/root/ringrift/ai-service'
    status: 'ready'
    role: 'selfplay'
    cpus: 16
    memory_gb: 32
    gpu: '' # none
    max_parallel_jobs: 2
";

#[test]
fn the_runbooks_example_loads_without_a_warning() {
    let file = file(RUNBOOK);
    assert_eq!((file.hosts.len(), &file.voters), (3, &None));
    assert!(file.warnings.is_empty(), "{:?}", file.warnings);
    let vast = &file.hosts["vast-rtx5090-1"];
    assert_eq!(vast.ssh_endpoints(), [("198.51.100.145".to_owned(), 33085)]);
    assert_eq!(file.hosts["hetzner-cpu-1"].gpu, None);
    assert_eq!(file.hosts["lambda-gh200-a"].ssh_endpoints().len(), 1);
    assert_eq!(file.check().len(), 1, "only the missing voters: {:?}", file.check());
}

/// The file of a real cluster, which is not part of this repository.
fn real() -> Option<HostsFile> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/distributed_hosts_42.yaml"));
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(HostsFile::load(&path).expect("the real file loads"))
}

#[test]
fn the_file_of_a_real_cluster_loads() {
    let Some(file) = real() else { return };
    let count = |is: fn(&crate::Host) -> bool| file.hosts.values().filter(|h| is(h)).count();
    assert_eq!(file.hosts.len(), 42);
    assert_eq!(file.voters.as_ref().map(Vec::len), Some(9));
    assert_eq!(count(crate::Host::is_ready), 32);
    assert_eq!(file.hosts.values().map(|h| h.gpu.as_ref().map_or(0, |g| g.count)).max(), Some(8));
    assert_eq!(file.hosts["aws-proxy"].ringrift_path, None);
    assert!(file.hosts.values().any(|h| h.venv_activate.as_deref() == Some(":")));
    assert!(file.hosts.values().all(|h| h.role.is_known()));
    // Fourteen containers share one forwarder: it is no address of theirs, and no duplicate either.
    let behind: Vec<_> = file.hosts.values().filter(|h| h.ssh_host.as_deref() == Some("relay.example.net")).collect();
    assert_eq!(behind.len(), 14);
    assert!(behind.iter().all(|h| h.dial_host() == h.tailscale_ip));
    assert_eq!(file.auto_sync.limit_mbps(&"hetzner-cpu1".parse().unwrap()), Some(30));
}

#[test]
fn the_traps_of_a_real_cluster_are_told() {
    let Some(file) = real() else { return };
    let found: Vec<String> = file.check().iter().map(|f| format!("{}: {}", f.key, f.message)).collect();
    for expected in [
        "hosts.runpod-h100.status: is a voter and its status is offline",
        "hosts.runpod-h100.p2p_enabled: is a voter and runs no daemon",
        "hosts.mac-studio: is a voter and seems to run macOS",
        "hosts.local-mac: is a voter and seems to run macOS",
        "hosts.local-mac.ssh_host: other nodes cannot dial this host: localhost",
        "hosts.vast-29129151.note: the host is ready and its note says terminated",
    ] {
        assert!(found.iter().any(|line| line.starts_with(expected)), "{expected}\n{found:#?}");
    }
    assert!(!found.iter().any(|line| line.contains("belongs to")), "{found:#?}");
}
