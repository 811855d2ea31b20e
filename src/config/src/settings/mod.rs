//! What is this setting, and who set it? Texts are read by [`read`], gathered by [`sources`], judged by [`resolve`].

mod effective;
mod error;
mod file;
mod flags;
mod key;
mod read;
mod resolve;
mod setting;
mod sources;
#[cfg(test)]
mod tests;
mod tokens;

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

pub use error::SettingsError;
pub use flags::Flags;
pub use resolve::Resolved;
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
    /// What to log, as `tracing-subscriber`'s `EnvFilter` reads it.
    pub log: Setting<String>,
    /// Ports of this container by the provider's mapping, inside to outside (`VAST_TCP_PORT_<inside>`).
    pub mapped_ports: BTreeMap<u16, u16>,
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
