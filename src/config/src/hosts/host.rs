use indexmap::IndexMap;
use serde::Serialize;
use serde_yaml::Value;

use super::{Capability, Gpu, PublicPorts, Role, Status};
use crate::NodeId;

/// One host of the hosts file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Its key under `hosts:`.
    pub id: NodeId,
    /// Where SSH reaches it; a provider's forwarder for many rented containers.
    pub ssh_host: Option<String>,
    /// Who logs in there.
    pub ssh_user: Option<String>,
    /// Belongs to `ssh_host` alone: at `tailscale_ip` SSH listens on 22.
    pub ssh_port: u16,
    /// Private key file on the operator's machine.
    pub ssh_key: Option<String>,
    /// Address in the tailnet, without the placeholders that stand there in some files.
    pub tailscale_ip: Option<String>,
    /// Where the program lies; a host that only passes connections on has none.
    pub ringrift_path: Option<String>,
    /// A fragment of shell that puts Python in the path: `source …`, `cd … && …`, or `:` for nothing to do.
    pub venv_activate: Option<String>,
    /// Whether it is in use.
    pub status: Status,
    /// What it is for.
    pub role: Role,
    /// Logical processors.
    pub cpus: Option<u32>,
    /// GiB of main memory. A 0 in the file means that nobody knows.
    pub memory_gb: Option<u64>,
    /// Its GPUs.
    pub gpu: Option<Gpu>,
    /// GiB of memory of its GPUs.
    pub gpu_vram_gb: Option<u64>,
    /// How many jobs it takes at once.
    pub max_parallel_jobs: Option<u32>,
    /// Whether a daemon runs there.
    pub p2p_enabled: bool,
    /// Adds self-play to what the role allows, or takes it away.
    pub selfplay_enabled: Option<bool>,
    /// Adds training to what the role allows, or takes it away.
    pub training_enabled: Option<bool>,
    /// It cannot be dialled.
    pub nat_blocked: bool,
    /// It is not to be dialled.
    pub force_relay_mode: bool,
    /// A rented container.
    pub is_container: bool,
    /// It may be gone at any time.
    pub is_ephemeral: bool,
    /// Its tailnet client has no network device, only a SOCKS proxy.
    pub needs_userspace_tailscale: bool,
    /// The port of that proxy.
    pub socks5_port: Option<u16>,
    /// Outside ports, where the provider maps them.
    pub p2p_public_port: PublicPorts,
    /// Where it stands.
    pub region: Option<String>,
    /// Its processors, as Nix names them (`aarch64`); read by those who build its system.
    pub arch: Option<String>,
    /// Its public SSH host key (`ssh-ed25519 AAAA…`); read by those who write SSH's known hosts.
    pub ssh_host_key: Option<String>,
    /// For people.
    pub note: Option<String>,
    /// Folders outside `ringrift_path`.
    pub storage_paths: Option<StoragePaths>,
    /// What its provider calls it: `vast_instance_id`, `hetzner_id` …
    pub provider_ids: IndexMap<String, String>,
    /// Keys that this version does not know, as they are.
    pub extra: IndexMap<String, Value>,
    /// Whether others can dial `ssh_host` itself; decided by the whole file.
    #[serde(skip)]
    pub(super) ssh_host_is_its_own: bool,
}

/// Folders of a host outside `ringrift_path`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StoragePaths {
    /// Game databases.
    pub games: Option<String>,
    /// Model files.
    pub models: Option<String>,
    /// Training sets.
    pub training_data: Option<String>,
    /// Checkpoints of training runs.
    pub checkpoints: Option<String>,
    /// Logs.
    pub logs: Option<String>,
    /// Where files from other hosts arrive.
    pub sync_incoming: Option<String>,
}

impl Host {
    /// SSH's own port (RFC 4253 §4.1).
    pub const SSH_PORT: u16 = 22;

    /// Whether it is given work.
    pub fn is_ready(&self) -> bool {
        self.status == Status::Ready
    }

    /// Whether a daemon is expected to run there.
    pub fn runs_daemon(&self) -> bool {
        self.is_ready() && self.p2p_enabled
    }

    /// Whether it cannot, or must not, be dialled: it is reached through a node that it has dialled.
    pub fn dials_out_only(&self) -> bool {
        self.nat_blocked || self.force_relay_mode
    }

    /// The address that other nodes dial for 8765, 8767 and 8770: `tailscale_ip`, else `ssh_host` unless that is a
    /// provider's shared forwarder or leads back to the dialling machine. `RINGRIFT_ADVERTISE_HOST` comes before it, an
    /// address found on the spot after it (contract §3).
    pub fn dial_host(&self) -> Option<String> {
        let ssh_host = self.ssh_host.as_ref().filter(|_| self.ssh_host_is_its_own);
        self.tailscale_ip.as_ref().or(ssh_host).cloned()
    }

    /// Every address that a node may dial for the service that listens on `inside` there, best first. The provider maps
    /// ports at `ssh_host` only; in the tailnet a service has its own port.
    pub fn dial_addresses(&self, inside: u16) -> Vec<(String, u16)> {
        let tailnet = self.tailscale_ip.iter().map(|ip| (ip.clone(), inside));
        let outside = self.p2p_public_port.outside(inside).unwrap_or(inside);
        let own = self.ssh_host.iter().filter(|_| self.ssh_host_is_its_own).map(|host| (host.clone(), outside));
        let mut addresses: Vec<_> = tailnet.chain(own).collect();
        addresses.dedup();
        addresses
    }

    /// Where SSH reaches it, best first: in the tailnet, and at `ssh_host` with the port that belongs to it. A host that
    /// names neither is left to the operator's `~/.ssh/config`, under its own name.
    pub fn ssh_endpoints(&self) -> Vec<(String, u16)> {
        let tailnet = self.tailscale_ip.iter().map(|ip| (ip.clone(), Self::SSH_PORT));
        let mut endpoints: Vec<_> = tailnet.chain(self.ssh_host.iter().map(|h| (h.clone(), self.ssh_port))).collect();
        endpoints.dedup();
        if endpoints.is_empty() {
            endpoints.push((self.id.to_string(), self.ssh_port));
        }
        endpoints
    }

    /// What it may be given to do: what its role allows, with `selfplay_enabled` and `training_enabled` adding to it or
    /// taking away. Nothing is added to a coordinator, or to a role that nobody knows.
    pub fn capabilities(&self) -> Vec<Capability> {
        let by_role = self.role.capabilities();
        let works = !by_role.is_empty() && !by_role.contains(&Capability::Coordinator);
        let may = |capability: Capability, switch: Option<bool>| match switch {
            Some(false) => false,
            Some(true) if works => true,
            Some(true) | None => by_role.contains(&capability),
        };
        let mut capabilities = Vec::new();
        if may(Capability::Selfplay, self.selfplay_enabled) {
            capabilities.push(Capability::Selfplay);
        }
        if may(Capability::Training, self.training_enabled) {
            capabilities.push(Capability::Training);
        }
        if by_role.contains(&Capability::Coordinator) {
            capabilities.push(Capability::Coordinator);
        }
        capabilities
    }

    /// Whether it runs macOS, by what the file gives away: Apple's GPU, or a path that only macOS has.
    pub fn is_macos(&self) -> bool {
        let paths = [self.ringrift_path.as_deref(), self.venv_activate.as_deref()];
        let foreign = |path: &str| path.contains("/Users/") || path.starts_with("/Volumes/");
        self.gpu.as_ref().is_some_and(Gpu::is_apple)
            || paths.into_iter().flatten().any(foreign)
            || self.storage_paths.iter().flat_map(StoragePaths::all).any(foreign)
    }
}

impl StoragePaths {
    fn all(&self) -> impl Iterator<Item = &str> {
        [&self.games, &self.models, &self.training_data, &self.checkpoints, &self.logs, &self.sync_incoming]
            .into_iter()
            .filter_map(|path| path.as_deref())
    }
}
