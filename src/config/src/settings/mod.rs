//! What is this setting, and who set it? Texts are read by [`read`], gathered by [`sources`], judged by [`resolve`].

mod classes;
mod effective;
mod error;
mod file;
mod flags;
mod key;
mod limits;
mod nvml_library;
mod read;
mod reload;
mod resolve;
mod setting;
mod sources;
#[cfg(test)]
mod tests;
mod tokens;

#[cfg(any(fuzzing, test))]
pub(crate) use file::fuzz as fuzz_file;
use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

pub use error::SettingsError;
pub use flags::Flags;
pub use limits::Limits;
pub use nvml_library::NvmlLibrary;
pub use reload::Reread;
pub use resolve::Resolved;
use ringrift_job::Classes;
pub use setting::{Setting, Source};

use crate::{Host, NodeId, Tokens};

/// Everything that a daemon is told before it starts; valid as a whole.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This node's name.
    pub node_id: Setting<NodeId>,
    /// The file that describes the cluster, if there is one.
    pub hosts_file: Setting<Option<PathBuf>>,
    /// Where to listen. Not loopback only with a token or `insecure`.
    pub bind_addr: Setting<IpAddr>,
    /// The HTTP API.
    pub http_port: Setting<u16>,
    /// The links between nodes.
    pub link_port: Setting<u16>,
    /// `/health` and `/ready` alone.
    pub health_port: Setting<Option<u16>>,
    /// What others dial, if somebody said so.
    pub advertise_host: Setting<Option<String>>,
    /// `host:port` of nodes to dial first.
    pub bootstrap_seeds: Setting<Vec<String>>,
    /// Instead of `p2p_voters` of the hosts file.
    pub voters: Setting<Option<Vec<NodeId>>>,
    /// A cluster of one.
    pub single_node: Setting<bool>,
    /// What must outlive a restart.
    pub state_dir: Setting<PathBuf>,
    /// The cluster token, and the one before.
    pub tokens: Setting<Option<Tokens>>,
    /// Other machines are served without a token.
    pub insecure: Setting<bool>,
    /// Certificates that are not derived from the token.
    pub tls: Setting<Option<TlsFiles>>,
    /// How often the leader shows that it is there.
    pub heartbeat: Setting<Duration>,
    /// Shortest silence before an election.
    pub election_timeout_min: Setting<Duration>,
    /// Longest silence before an election.
    pub election_timeout_max: Setting<Duration>,
    /// Largest body of an HTTP request.
    pub max_body_bytes: Setting<usize>,
    /// Time to send the head of an HTTP request.
    pub header_timeout: Setting<Duration>,
    /// HTTP connections served at once.
    pub max_connections: Setting<usize>,
    /// Where programs look for models.
    pub models_dir: Setting<PathBuf>,
    /// The model server.
    pub models_port: Setting<Option<u16>>,
    /// Whether a model that changes in `models_dir` is promoted: `None` on nodes that may train.
    pub models_watch: Setting<Option<bool>>,
    /// How many versions of a model are kept, the one in use among them.
    pub models_keep: Setting<u32>,
    /// How many megabytes of models a second are read again to find bit rot; 0 for none.
    pub models_scrub: Setting<u32>,
    /// The cluster's own addresses may read models without the token.
    pub open_reads: Setting<bool>,
    /// The cluster's own addresses may upload models without the token.
    pub open_uploads: Setting<bool>,
    /// How jobs are run here: `None` for systemd where it is process 1, and plain processes elsewhere.
    pub runner: Setting<Option<RunnerKind>>,
    /// The classes of jobs that this node knows.
    pub job_classes: Setting<Arc<Classes>>,
    /// Where games and training data lie: without it `data` in the host's `ringrift_path`.
    pub data_dir: Setting<Option<PathBuf>>,
    /// Where the programs that jobs run write logs of their own: without it `logs` in the host's `ringrift_path`.
    pub logs_dir: Setting<Option<PathBuf>>,
    /// Whether idle slots of this node are filled with self-play that nobody asked for.
    pub jobs_fill: Setting<bool>,
    /// How long a node may be away before its jobs are given to others. Asked of the leader.
    pub reconnect_window: Setting<Duration>,
    /// Where this node's patience ends.
    pub limits: Limits,
    /// Where the NVIDIA driver's library is.
    pub nvml_library: Setting<NvmlLibrary>,
    /// What to log, as `tracing-subscriber`'s `EnvFilter` reads it.
    pub log: Setting<String>,
    /// Ports of this container by the provider's mapping, inside to outside (`VAST_TCP_PORT_<inside>`).
    pub mapped_ports: BTreeMap<u16, u16>,
}

/// How jobs are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerKind {
    /// As units of systemd.
    Systemd,
    /// As plain processes: in containers without systemd.
    Plain,
    /// Not at all.
    Nothing,
}

impl RunnerKind {
    /// As settings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Plain => "plain",
            Self::Nothing => "none",
        }
    }
}

/// Own certificates, all in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whom this node believes.
    pub ca: PathBuf,
    /// Its certificate, with its node id as a name.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
}

impl Settings {
    /// Where the settings file is looked for when nobody says.
    pub const FILE: &str = "/etc/ringrift-p2p/settings.yaml";
    /// Where the hosts file is looked for when nobody says.
    pub const HOSTS_FILE: &str = "/etc/ringrift-p2p/distributed_hosts.yaml";
    /// The state's folder when neither systemd nor anybody else says.
    pub const STATE_DIR: &str = "/var/lib/ringrift-p2p";

    /// The port at which others reach the links of this node, which is `host` in the hosts file.
    pub fn public_link_port(&self, host: Option<&Host>) -> u16 {
        self.public_port(*self.link_port, host)
    }

    /// The port at which others reach the HTTP API of this node.
    pub fn public_http_port(&self, host: Option<&Host>) -> u16 {
        self.public_port(*self.http_port, host)
    }

    /// The hosts file's word, else the provider's mapping, else the port itself (contract §3).
    pub fn public_port(&self, inside: u16, host: Option<&Host>) -> u16 {
        let named = host.and_then(|h| h.p2p_public_port.outside(inside));
        named.or_else(|| self.mapped_ports.get(&inside).copied()).unwrap_or(inside)
    }
}
