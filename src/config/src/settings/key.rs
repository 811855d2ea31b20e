//! What each setting is called in the settings file, on the command line and in the environment.

/// The names of one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// In the settings file.
    pub(crate) name: &'static str,
    pub(crate) flag: &'static str,
    /// The first that is set wins.
    pub(crate) variables: &'static [&'static str],
}

const fn key(name: &'static str, flag: &'static str, variables: &'static [&'static str]) -> Key {
    Key { name, flag, variables }
}

pub(crate) const NODE_ID: Key = key("node_id", "--node-id", &["RINGRIFT_NODE_ID"]);
pub(crate) const HOSTS_FILE: Key = key("hosts_file", "--hosts", &["RINGRIFT_HOSTS_FILE"]);
pub(crate) const BIND_ADDR: Key = key("bind_addr", "--bind-addr", &["RINGRIFT_P2P_BIND_ADDR"]);
pub(crate) const HTTP_PORT: Key = key("http_port", "--http-port", &["RINGRIFT_P2P_PORT"]);
pub(crate) const LINK_PORT: Key = key("link_port", "--link-port", &["RINGRIFT_P2P_GOSSIP_PORT"]);
pub(crate) const HEALTH_PORT: Key = key("health_port", "--health-port", &["RINGRIFT_P2P_HEALTH_PORT"]);
pub(crate) const ADVERTISE_HOST: Key =
    key("advertise_host", "--advertise-host", &["RINGRIFT_ADVERTISE_HOST", "RINGRIFT_P2P_ADVERTISE_HOST"]);
pub(crate) const BOOTSTRAP_SEEDS: Key = key("bootstrap_seeds", "--bootstrap-seeds", &["RINGRIFT_P2P_BOOTSTRAP_SEEDS"]);
pub(crate) const VOTERS: Key = key("voters", "--voters", &["RINGRIFT_P2P_VOTERS"]);
pub(crate) const STATE_DIR: Key = key("state_dir", "--state-dir", &["RINGRIFT_P2P_STATE_DIR"]);
pub(crate) const TOKEN_FILE: Key = key("token_file", "--token-file", &["RINGRIFT_CLUSTER_AUTH_TOKEN_FILE"]);
pub(crate) const OLD_TOKEN_FILE: Key =
    key("old_token_file", "--old-token-file", &["RINGRIFT_CLUSTER_AUTH_TOKEN_OLD_FILE"]);
pub(crate) const INSECURE: Key = key("insecure", "--insecure", &["RINGRIFT_P2P_INSECURE"]);
pub(crate) const SINGLE_NODE: Key = key("single_node", "--single-node", &["RINGRIFT_P2P_SINGLE_NODE"]);
pub(crate) const TLS_CA: Key = key("tls_ca", "--tls-ca", &["RINGRIFT_P2P_TLS_CA"]);
pub(crate) const TLS_CERT: Key = key("tls_cert", "--tls-cert", &["RINGRIFT_P2P_TLS_CERT"]);
pub(crate) const TLS_KEY: Key = key("tls_key", "--tls-key", &["RINGRIFT_P2P_TLS_KEY"]);
pub(crate) const HEARTBEAT: Key = key("heartbeat", "--heartbeat", &["RINGRIFT_P2P_HEARTBEAT"]);
pub(crate) const ELECTION_TIMEOUT_MIN: Key =
    key("election_timeout_min", "--election-timeout-min", &["RINGRIFT_P2P_ELECTION_TIMEOUT_MIN"]);
pub(crate) const ELECTION_TIMEOUT_MAX: Key =
    key("election_timeout_max", "--election-timeout-max", &["RINGRIFT_P2P_ELECTION_TIMEOUT_MAX"]);
pub(crate) const MAX_BODY_BYTES: Key = key("max_body_bytes", "--max-body-bytes", &["RINGRIFT_P2P_MAX_BODY_BYTES"]);
pub(crate) const HEADER_TIMEOUT: Key = key("header_timeout", "--header-timeout", &["RINGRIFT_P2P_HEADER_TIMEOUT"]);
pub(crate) const MAX_CONNECTIONS: Key = key("max_connections", "--max-connections", &["RINGRIFT_P2P_MAX_CONNECTIONS"]);
pub(crate) const MODELS_DIR: Key =
    key("models_dir", "--models-dir", &["RINGRIFT_MODELS_DIR", "RINGRIFT_MODEL_DIR", "RINGRIFT_MODELS_PATH"]);
pub(crate) const MODELS_PORT: Key = key("models_port", "--models-port", &["RINGRIFT_P2P_MODELS_PORT"]);
pub(crate) const MODELS_WATCH: Key = key("models_watch", "--models-watch", &["RINGRIFT_P2P_MODELS_WATCH"]);
pub(crate) const MODELS_KEEP: Key = key("models_keep", "--models-keep", &["RINGRIFT_P2P_MODELS_KEEP"]);
pub(crate) const MODELS_SCRUB: Key = key("models_scrub", "--models-scrub", &["RINGRIFT_P2P_MODELS_SCRUB"]);
pub(crate) const OPEN_READS: Key = key("compat.open_reads", "--compat-open-reads", &["RINGRIFT_P2P_COMPAT_OPEN_READS"]);
pub(crate) const OPEN_UPLOADS: Key =
    key("compat.open_uploads", "--compat-open-uploads", &["RINGRIFT_P2P_COMPAT_OPEN_UPLOADS"]);
pub(crate) const RUNNER: Key = key("runner", "--runner", &["RINGRIFT_P2P_RUNNER"]);
pub(crate) const DATA_DIR: Key = key("data_dir", "--data-dir", &["RINGRIFT_DATA_DIR"]);
pub(crate) const LOGS_DIR: Key = key("logs_dir", "--logs-dir", &["RINGRIFT_LOGS_DIR"]);
pub(crate) const JOBS_FILL: Key = key("jobs_fill", "--jobs-fill", &["RINGRIFT_P2P_JOBS_FILL"]);
pub(crate) const RECONNECT_WINDOW: Key =
    key("reconnect_window", "--reconnect-window", &["RINGRIFT_P2P_RECONNECT_WINDOW"]);
pub(crate) const DISK_CLEANUP: Key =
    key("disk_cleanup_threshold", "--disk-cleanup-threshold", &["RINGRIFT_P2P_DISK_CLEANUP_THRESHOLD"]);
pub(crate) const DISK_WARNING: Key =
    key("disk_warning_threshold", "--disk-warning-threshold", &["RINGRIFT_P2P_DISK_WARNING_THRESHOLD"]);
pub(crate) const DISK_CRITICAL: Key =
    key("disk_critical_threshold", "--disk-critical-threshold", &["RINGRIFT_P2P_DISK_CRITICAL_THRESHOLD"]);
pub(crate) const MEMORY_WARNING: Key =
    key("memory_warning_threshold", "--memory-warning-threshold", &["RINGRIFT_P2P_MEMORY_WARNING_THRESHOLD"]);
pub(crate) const MEMORY_CRITICAL: Key =
    key("memory_critical_threshold", "--memory-critical-threshold", &["RINGRIFT_P2P_MEMORY_CRITICAL_THRESHOLD"]);
pub(crate) const GPU_IDLE: Key = key("gpu_idle_threshold", "--gpu-idle-threshold", &["RINGRIFT_GPU_IDLE_THRESHOLD"]);
pub(crate) const JOB_GRACE: Key = key("job_grace_period", "--job-grace-period", &["RINGRIFT_JOB_GRACE_PERIOD"]);
pub(crate) const RUNAWAY_PROCESSES: Key = key(
    "runaway_selfplay_process_threshold",
    "--runaway-selfplay-process-threshold",
    &["RINGRIFT_RUNAWAY_SELFPLAY_PROCESS_THRESHOLD"],
);
pub(crate) const JOB_STARTS: Key =
    key("job_starts_per_second", "--job-starts-per-second", &["RINGRIFT_P2P_JOB_STARTS_PER_SECOND"]);
pub(crate) const CRASH_LOOP: Key =
    key("crash_loop_threshold", "--crash-loop-threshold", &["RINGRIFT_P2P_CRASH_LOOP_THRESHOLD"]);
pub(crate) const QUEUE_SOFT: Key =
    key("work_queue_soft_limit", "--work-queue-soft-limit", &["RINGRIFT_WORK_QUEUE_SOFT_LIMIT"]);
pub(crate) const QUEUE_HARD: Key =
    key("work_queue_hard_limit", "--work-queue-hard-limit", &["RINGRIFT_WORK_QUEUE_HARD_LIMIT"]);
pub(crate) const NVML_LIBRARY: Key = key("nvml_library", "--nvml-library", &["RINGRIFT_P2P_NVML_LIBRARY"]);
pub(crate) const LOG: Key = key("log", "--log", &["RINGRIFT_LOG"]);

/// Every setting, in the order in which the effective values are shown.
pub(crate) const ALL: [Key; 49] = [
    NODE_ID,
    HOSTS_FILE,
    BIND_ADDR,
    HTTP_PORT,
    LINK_PORT,
    HEALTH_PORT,
    ADVERTISE_HOST,
    BOOTSTRAP_SEEDS,
    VOTERS,
    SINGLE_NODE,
    STATE_DIR,
    TOKEN_FILE,
    OLD_TOKEN_FILE,
    INSECURE,
    TLS_CA,
    TLS_CERT,
    TLS_KEY,
    HEARTBEAT,
    ELECTION_TIMEOUT_MIN,
    ELECTION_TIMEOUT_MAX,
    MAX_BODY_BYTES,
    HEADER_TIMEOUT,
    MAX_CONNECTIONS,
    MODELS_DIR,
    MODELS_PORT,
    MODELS_WATCH,
    MODELS_KEEP,
    MODELS_SCRUB,
    OPEN_READS,
    OPEN_UPLOADS,
    RUNNER,
    DATA_DIR,
    LOGS_DIR,
    JOBS_FILL,
    RECONNECT_WINDOW,
    DISK_CLEANUP,
    DISK_WARNING,
    DISK_CRITICAL,
    MEMORY_WARNING,
    MEMORY_CRITICAL,
    GPU_IDLE,
    JOB_GRACE,
    RUNAWAY_PROCESSES,
    JOB_STARTS,
    CRASH_LOOP,
    QUEUE_SOFT,
    QUEUE_HARD,
    NVML_LIBRARY,
    LOG,
];

/// The classes of jobs: a map, and therefore in the settings file alone.
pub(crate) const JOB_CLASSES: &str = "job_classes";

/// The token itself, which stands in no file of ours and on no command line.
pub(crate) const TOKEN: &str = "RINGRIFT_CLUSTER_AUTH_TOKEN";
/// The token before, while the cluster changes over.
pub(crate) const OLD_TOKEN: &str = "RINGRIFT_CLUSTER_AUTH_TOKEN_OLD";
/// Where the settings file lies.
pub(crate) const SETTINGS_FILE: Key = key("settings", "--settings", &["RINGRIFT_SETTINGS"]);

/// Variables that other parts of the program read for themselves: the operator's tool its daemon, the tests their fault.
pub(crate) const READ_ELSEWHERE: [&str; 2] = ["RINGRIFT_API", "RINGRIFT_FAULT_HANG"];

/// Every variable that something reads.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
    let own = ALL.into_iter().chain([SETTINGS_FILE]).flat_map(|key| key.variables.iter().copied());
    own.chain([TOKEN, OLD_TOKEN]).chain(READ_ELSEWHERE)
}
