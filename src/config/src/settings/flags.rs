use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;

use super::{NvmlLibrary, RunnerKind, read};
use crate::NodeId;

/// Not `next_help_heading`: it would go on over the flags of the command that takes these.
const HEADING: &str = "Settings";

/// A name of its own, since clap takes `Option<Option<_>>` for a flag whose value may be left out.
type PortOrNone = Option<u16>;
type SwitchOrAuto = Option<bool>;
type RunnerOrAuto = Option<RunnerKind>;

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

    /// Longest silence of the leader before an election [default: 1200ms] [env: RINGRIFT_P2P_ELECTION_TIMEOUT_MAX]
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub election_timeout_max: Option<Duration>,

    /// Largest body of an HTTP request [default: 1MiB] [env: RINGRIFT_P2P_MAX_BODY_BYTES]
    #[arg(long, help_heading = HEADING, value_name = "SIZE", value_parser = read::body_bytes)]
    pub max_body_bytes: Option<usize>,

    /// Time that an HTTP client has to send its request's head, and to begin with its body; one that reads nothing of an answer
    /// for six times as long loses its connection [default: 10s] [env: RINGRIFT_P2P_HEADER_TIMEOUT]
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub header_timeout: Option<Duration>,

    /// HTTP connections served at once; further ones wait [default: 1024] [env: RINGRIFT_P2P_MAX_CONNECTIONS]
    ///
    /// When all are taken, one that has asked nothing yet is closed for the next.
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::connections)]
    pub max_connections: Option<usize>,

    /// Folder where programs look for models [env: RINGRIFT_MODELS_DIR, RINGRIFT_MODEL_DIR, RINGRIFT_MODELS_PATH]
    ///
    /// Without it: `models` in the state's folder.
    #[arg(long, help_heading = HEADING, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,

    /// Port of the model server, or none [default: 8767] [env: RINGRIFT_P2P_MODELS_PORT]
    ///
    /// With none this node fetches models and serves none: what nobody can reach should not be promised.
    #[arg(long, help_heading = HEADING, value_name = "PORT", value_parser = read::port_or_none)]
    pub models_port: Option<PortOrNone>,

    /// Promote a canonical model that changes in --models-dir: true, false or auto [default: auto] [env: RINGRIFT_P2P_MODELS_WATCH]
    ///
    /// `auto` on nodes that may train, by their role in the hosts file.
    #[arg(long, help_heading = HEADING, value_name = "WHEN", value_parser = read::switch_or_auto)]
    pub models_watch: Option<SwitchOrAuto>,

    /// Versions of a model to keep, the one in use among them [default: 3] [env: RINGRIFT_P2P_MODELS_KEEP]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::versions)]
    pub models_keep: Option<u32>,

    /// Megabytes a second to re-read in search of bit rot, 0 for none [default: 20] [env: RINGRIFT_P2P_MODELS_SCRUB]
    #[arg(long, help_heading = HEADING, value_name = "MB/S", value_parser = read::megabytes)]
    pub models_scrub: Option<u32>,

    /// Let the cluster's own addresses read models without the token [env: RINGRIFT_P2P_COMPAT_OPEN_READS]
    ///
    /// For the old Python programs, which send none. In settings.yaml: `compat: {open_reads: true}`.
    #[arg(long, help_heading = HEADING)]
    pub compat_open_reads: bool,

    /// Let the cluster's own addresses upload models without the token [env: RINGRIFT_P2P_COMPAT_OPEN_UPLOADS]
    ///
    /// For the old Python programs, which send none. In settings.yaml: `compat: {open_uploads: true}`.
    #[arg(long, help_heading = HEADING)]
    pub compat_open_uploads: bool,

    /// How jobs are run here: systemd, plain, none or auto [default: auto] [env: RINGRIFT_P2P_RUNNER]
    ///
    /// `auto` is systemd where it is process 1, and plain processes elsewhere; `none` runs no job here. What a job runs is
    /// `job_classes` of settings.yaml.
    #[arg(long, help_heading = HEADING, value_name = "KIND", value_parser = read::runner)]
    pub runner: Option<RunnerOrAuto>,

    /// Folder of games and training data [env: RINGRIFT_DATA_DIR]
    ///
    /// Without it: `data` in this host's `ringrift_path`.
    #[arg(long, help_heading = HEADING, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Folder where jobs write logs of their own [env: RINGRIFT_LOGS_DIR]
    ///
    /// Without it: `logs` in this host's `ringrift_path`.
    #[arg(long, help_heading = HEADING, value_name = "DIR")]
    pub logs_dir: Option<PathBuf>,

    /// Fill idle slots of this node with self-play: true or false [default: true] [env: RINGRIFT_P2P_JOBS_FILL]
    #[arg(long, help_heading = HEADING, value_name = "BOOL", value_parser = read::switch)]
    pub jobs_fill: Option<bool>,

    /// How long a node may be away before its jobs go to others [default: 1m] [env: RINGRIFT_P2P_RECONNECT_WINDOW]
    ///
    /// The leader's own setting counts: give all voters the same.
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::duration)]
    pub reconnect_window: Option<Duration>,

    /// A disk this full, in percent, is worth a look: nothing is deleted by itself [default: 65] [env: RINGRIFT_P2P_DISK_CLEANUP_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "PERCENT", value_parser = read::percent)]
    pub disk_cleanup_threshold: Option<u8>,

    /// A disk this full, in percent, is warned of [default: 70] [env: RINGRIFT_P2P_DISK_WARNING_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "PERCENT", value_parser = read::percent)]
    pub disk_warning_threshold: Option<u8>,

    /// With a disk this full, in percent, no job is taken [default: 96] [env: RINGRIFT_P2P_DISK_CRITICAL_THRESHOLD]
    ///
    /// Who lowers it and says nothing of the two above lowers them as well.
    #[arg(long, help_heading = HEADING, value_name = "PERCENT", value_parser = read::percent)]
    pub disk_critical_threshold: Option<u8>,

    /// Memory this full, in percent, is warned of [default: 70] [env: RINGRIFT_P2P_MEMORY_WARNING_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "PERCENT", value_parser = read::percent)]
    pub memory_warning_threshold: Option<u8>,

    /// With memory this full, in percent, no job is taken [default: 80] [env: RINGRIFT_P2P_MEMORY_CRITICAL_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "PERCENT", value_parser = read::percent)]
    pub memory_critical_threshold: Option<u8>,

    /// How long a job may leave its GPU idle [default: 10m] [env: RINGRIFT_GPU_IDLE_THRESHOLD]
    ///
    /// A number without a unit is seconds.
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::seconds)]
    pub gpu_idle_threshold: Option<Duration>,

    /// How long a job that is stopped has to finish, before it is killed [default: 1m] [env: RINGRIFT_JOB_GRACE_PERIOD]
    ///
    /// A number without a unit is seconds.
    #[arg(long, help_heading = HEADING, value_name = "DURATION", value_parser = read::seconds)]
    pub job_grace_period: Option<Duration>,

    /// Processes in all its self-play above which a node starts no more of it [default: 128] [env: RINGRIFT_RUNAWAY_SELFPLAY_PROCESS_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::count)]
    pub runaway_selfplay_process_threshold: Option<u32>,

    /// Jobs that a node starts in one second at most [default: 4] [env: RINGRIFT_P2P_JOB_STARTS_PER_SECOND]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::count)]
    pub job_starts_per_second: Option<u32>,

    /// Failures in a row after which a class of jobs is given back for a while [default: 3] [env: RINGRIFT_P2P_CRASH_LOOP_THRESHOLD]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::count)]
    pub crash_loop_threshold: Option<u32>,

    /// Items in the work queue from which on it is called long [default: 500] [env: RINGRIFT_WORK_QUEUE_SOFT_LIMIT]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::count)]
    pub work_queue_soft_limit: Option<u32>,

    /// Items in the work queue from which on more are refused [default: 1000] [env: RINGRIFT_WORK_QUEUE_HARD_LIMIT]
    #[arg(long, help_heading = HEADING, value_name = "NUMBER", value_parser = read::count)]
    pub work_queue_hard_limit: Option<u32>,

    /// The NVIDIA driver's library: a file, auto, or none to look at no GPU [default: auto] [env: RINGRIFT_P2P_NVML_LIBRARY]
    ///
    /// `auto` is libnvidia-ml.so.1 where the system has it.
    #[arg(long, help_heading = HEADING, value_name = "FILE", value_parser = read::nvml_library)]
    pub nvml_library: Option<NvmlLibrary>,

    /// What to log [default: info,openraft=warn] [env: RINGRIFT_LOG]
    ///
    /// A level (error, warn, info, debug, trace), or levels per module: `info,ringrift_link=debug`.
    #[arg(long, help_heading = HEADING, value_name = "FILTER", value_parser = read::words)]
    pub log: Option<String>,
}
