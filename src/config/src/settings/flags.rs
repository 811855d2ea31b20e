use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::read;
use crate::NodeId;

/// Not `next_help_heading`: it would go on over the flags of the command that takes these.
const HEADING: &str = "Settings";

/// A name of its own, since clap takes `Option<Option<_>>` for a flag whose value may be left out.
type PortOrNone = Option<u16>;

/// Settings on the command line. A flag wins over its variable, the variable over settings.yaml, that over the default.
///
/// No flag takes the token itself: the command line of a process can be read by everybody on the machine.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::doc_markdown, reason = "--help shows these texts as they are")]
pub struct Flags {
    /// Settings file, or none for no file [env: RINGRIFT_SETTINGS]
    ///
    /// YAML: every setting below under its flag's name, with underscores, so `http_port: 8770`. A key that is not a
    /// setting is an error. Without this: /etc/ringrift-p2p/settings.yaml if it is there.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// This node's name: its key under `hosts:` in the hosts file [env: RINGRIFT_NODE_ID]
    ///
    /// Without it: the host name of this machine. The two need not be equal.
    #[arg(long, help_heading = HEADING, value_name = "NAME", value_parser = read::node_id)]
    pub node_id: Option<NodeId>,

    /// The file that describes the cluster (`hosts_file`) [env: RINGRIFT_HOSTS_FILE]
    ///
    /// Without it: /etc/ringrift-p2p/distributed_hosts.yaml if it is there.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub hosts: Option<PathBuf>,

    /// Address to listen on [env: RINGRIFT_P2P_BIND_ADDR]
    ///
    /// Without it: 0.0.0.0 with a token or --insecure, else 127.0.0.1. Without a token nothing but loopback is served.
    #[arg(long, help_heading = HEADING, value_name = "IP", value_parser = read::address)]
    pub bind_addr: Option<IpAddr>,

    /// Port of the HTTP API [default: 8770] [env: RINGRIFT_P2P_PORT]
    #[arg(long, help_heading = HEADING, value_name = "PORT", value_parser = read::port)]
    pub http_port: Option<u16>,

    /// Port of the links between nodes [default: 8765] [env: RINGRIFT_P2P_GOSSIP_PORT]
    #[arg(long, help_heading = HEADING, value_name = "PORT", value_parser = read::port)]
    pub link_port: Option<u16>,

    /// Port of /health and /ready alone, or none [default: 8080] [env: RINGRIFT_P2P_HEALTH_PORT]
    #[arg(long, help_heading = HEADING, value_name = "PORT", value_parser = read::port_or_none)]
    pub health_port: Option<PortOrNone>,

    /// Address that other nodes reach this one at [env: RINGRIFT_ADVERTISE_HOST, RINGRIFT_P2P_ADVERTISE_HOST]
    ///
    /// Without it: `tailscale_ip` of the hosts file, else its `ssh_host`, else what is found on this machine.
    #[arg(long, help_heading = HEADING, value_name = "HOST", value_parser = read::host)]
    pub advertise_host: Option<String>,

    /// Nodes to dial first, besides those of the hosts file: host:port,… [env: RINGRIFT_P2P_BOOTSTRAP_SEEDS]
    #[arg(long, help_heading = HEADING, value_name = "LIST", value_parser = read::seed, value_delimiter = ',')]
    pub bootstrap_seeds: Option<Vec<String>>,

    /// The voters, instead of `p2p_voters` of the hosts file: name,… [env: RINGRIFT_P2P_VOTERS]
    ///
    /// They count when the cluster is founded and when this node asks for a change of voters. All nodes should be told
    /// the same, which is why the hosts file is the better place.
    #[arg(long, help_heading = HEADING, value_name = "LIST", value_parser = read::node_id, value_delimiter = ',')]
    pub voters: Option<Vec<NodeId>>,

    /// Be a cluster of one, without voters in the hosts file [env: RINGRIFT_P2P_SINGLE_NODE]
    #[arg(long, help_heading = HEADING)]
    pub single_node: bool,

    /// Folder for what must outlive a restart [default: /var/lib/ringrift-p2p] [env: RINGRIFT_P2P_STATE_DIR]
    ///
    /// Under systemd the default is the unit's StateDirectory=.
    #[arg(long, help_heading = HEADING, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// File with the cluster token [env: RINGRIFT_CLUSTER_AUTH_TOKEN_FILE]
    ///
    /// Without it: the variable RINGRIFT_CLUSTER_AUTH_TOKEN, the file that RINGRIFT_CLUSTER_AUTH_TOKEN_FILE names,
    /// `token_file` of settings.yaml, the systemd credential `token`: the first that is there. `ringriftctl token new`
    /// makes a token; all nodes of a cluster hold the same.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// File with the token before, accepted as well during a change [env: RINGRIFT_CLUSTER_AUTH_TOKEN_OLD_FILE]
    ///
    /// Also RINGRIFT_CLUSTER_AUTH_TOKEN_OLD, `old_token_file` of settings.yaml, the systemd credential `token-old`.
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    pub old_token_file: Option<PathBuf>,

    /// Serve other machines without a token: everybody who reaches a port can do everything [env: RINGRIFT_P2P_INSECURE]
    #[arg(long, help_heading = HEADING)]
    pub insecure: bool,

    /// Own certificates for the links, instead of those derived from the token: the authority [env: RINGRIFT_P2P_TLS_CA]
    #[arg(long, help_heading = HEADING, value_name = "PEM")]
    pub tls_ca: Option<PathBuf>,

    /// This node's certificate, with its node id as a name [env: RINGRIFT_P2P_TLS_CERT]
    #[arg(long, help_heading = HEADING, value_name = "PEM")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key [env: RINGRIFT_P2P_TLS_KEY]
    #[arg(long, help_heading = HEADING, value_name = "PEM")]
    pub tls_key: Option<PathBuf>,

    /// How often the leader shows that it is there [default: 200ms] [env: RINGRIFT_P2P_HEARTBEAT]
    ///
    /// Less than half of --election-timeout-min. All voters should have the same three values.
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub heartbeat: Option<Duration>,

    /// Shortest silence of the leader before an election [default: 800ms] [env: RINGRIFT_P2P_ELECTION_TIMEOUT_MIN]
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub election_timeout_min: Option<Duration>,

    /// Longest silence of the leader before an election [default: 1600ms] [env: RINGRIFT_P2P_ELECTION_TIMEOUT_MAX]
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub election_timeout_max: Option<Duration>,

    /// Largest body of an HTTP request [default: 1MiB] [env: RINGRIFT_P2P_MAX_BODY_BYTES]
    #[arg(long, help_heading = HEADING, value_name = "SIZE", value_parser = read::body_bytes)]
    pub max_body_bytes: Option<usize>,

    /// Time that an HTTP client has to send its request's head [default: 10s] [env: RINGRIFT_P2P_HEADER_TIMEOUT]
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub header_timeout: Option<Duration>,

    /// HTTP connections served at once; further ones wait [default: 1024] [env: RINGRIFT_P2P_MAX_CONNECTIONS]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::connections)]
    pub max_connections: Option<usize>,

    /// What to log [default: info,openraft=warn] [env: RINGRIFT_LOG]
    ///
    /// A level (error, warn, info, debug, trace), or levels per module: `info,ringrift_link=debug`.
    #[arg(long, help_heading = HEADING, value_name = "FILTER", value_parser = read::words)]
    pub log: Option<String>,
}
