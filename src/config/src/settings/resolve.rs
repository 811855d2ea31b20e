//! Flags, environment, file and defaults become [`Settings`] that are valid as a whole, or all that is wrong with them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Flags, Limits, NvmlLibrary, Settings, SettingsError, TlsFiles,
    file::SettingsFile,
    key, read,
    setting::{Setting, Source},
    sources::Sources,
    tokens,
};
use crate::{NodeId, nearest::did_you_mean};

/// Settings, and what somebody should know about how they came about.
#[derive(Debug)]
pub struct Resolved {
    /// The settings in force.
    pub settings: Settings,
    /// Variables that nothing reads, two names for one thing, a token that everybody can read.
    pub warnings: Vec<String>,
}

/// Heartbeat and election timeouts for a cluster over a WAN: about 3 s from a leader's death to the next (design §3).
const HEARTBEAT: Duration = Duration::from_millis(200);
const ELECTION_TIMEOUT_MIN: Duration = Duration::from_millis(800);
const ELECTION_TIMEOUT_MAX: Duration = Duration::from_millis(1200);
/// Longer than a restart of a machine's daemon, shorter than a person's patience with an idle GPU.
const RECONNECT_WINDOW: Duration = Duration::from_mins(1);
/// A hundred work items with their configuration are far below it.
const MAX_BODY_BYTES: usize = 1 << 20;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Far below the unit's `LimitNOFILE=`.
const MAX_CONNECTIONS: usize = 1024;

impl Settings {
    /// Resolves the settings of this process: flags, then `environment`, then the settings file that `--settings` or
    /// `RINGRIFT_SETTINGS` names or that lies at [`Settings::FILE`], then defaults.
    pub fn resolve(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Resolved, SettingsError> {
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let installed = Installed { settings: Path::new(Self::FILE), hosts: Path::new(Self::HOSTS_FILE) };
        Self::resolve_on(flags, environment, &installed, &host_name)
    }

    pub(super) fn resolve_on(
        flags: &Flags,
        environment: &BTreeMap<String, String>,
        installed: &Installed<'_>,
        host_name: &str,
    ) -> Result<Resolved, SettingsError> {
        let file = settings_file(flags, environment, installed.settings)?;
        let mut sources = Sources::new(environment, file);
        let mut warnings = Vec::new();
        warn_of_unread(environment, &mut warnings);
        let settings = gather(flags, &mut sources, installed, host_name, &mut warnings);
        if let Some(settings) = &settings {
            settings.judge(&mut sources.problems);
        }
        match (settings, SettingsError::of(sources.problems)) {
            (_, Some(error)) => Err(error),
            (Some(settings), None) => Ok(Resolved { settings, warnings }),
            (None, None) => unreachable!("what is missing was named as a problem"),
        }
    }

    /// What no setting shows by itself.
    fn judge(&self, problems: &mut Vec<SettingsError>) {
        let ports = [
            ("http_port", Some(*self.http_port), &self.http_port.source),
            ("link_port", Some(*self.link_port), &self.link_port.source),
            ("health_port", *self.health_port, &self.health_port.source),
            ("models_port", *self.models_port, &self.models_port.source),
        ];
        for (i, (name, port, source)) in ports.iter().enumerate() {
            let Some(port) = *port else { continue };
            for (earlier, _, other) in ports[..i].iter().filter(|(_, p, _)| *p == Some(port)) {
                let (first, second) = ((*earlier, (*other).clone()), (*name, (*source).clone()));
                problems.push(SettingsError::SamePort { first, second, port });
            }
        }
        let (heartbeat, min, max) = (&self.heartbeat, &self.election_timeout_min, &self.election_timeout_max);
        if min.value >= max.value {
            let sources = (min.source.clone(), max.source.clone());
            problems.push(SettingsError::ElectionTimeouts { min: min.value, max: max.value, sources });
        }
        if heartbeat.value * 2 >= min.value {
            let sources = (heartbeat.source.clone(), min.source.clone());
            problems.push(SettingsError::Heartbeat { heartbeat: heartbeat.value, min: min.value, sources });
        }
        self.limits.judge(problems);
        let is_open = !self.bind_addr.is_loopback();
        // Where the token could not be read, that is what must be put right.
        if is_open && self.tokens.value.is_none() && !*self.insecure && problems.is_empty() {
            let (address, named_by) = (self.bind_addr.value, self.bind_addr.source.clone());
            problems.push(SettingsError::OpenWithoutToken { address, named_by });
        }
    }
}

/// Where files lie when nobody says.
pub(super) struct Installed<'a> {
    pub(super) settings: &'a Path,
    pub(super) hosts: &'a Path,
}

fn settings_file(
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    installed: &Path,
) -> Result<Option<SettingsFile>, SettingsError> {
    let named = Sources::new(environment, None).pick(key::SETTINGS_FILE, flags.settings.clone(), read::path);
    match named {
        Some(Setting { value, .. }) if value == Path::new("none") => Ok(None),
        Some(Setting { value, source }) => SettingsFile::load(&value, &source).map(Some),
        None if installed.exists() => SettingsFile::load(installed, &Source::Default).map(Some),
        None => Ok(None),
    }
}

/// Takes every setting from the first source that has it. `None` if this node has no name.
fn gather(
    flags: &Flags,
    sources: &mut Sources<'_>,
    installed: &Installed<'_>,
    host_name: &str,
    warnings: &mut Vec<String>,
) -> Option<Settings> {
    let node_id = node_id(flags, sources, host_name);
    let tokens = tokens::find(flags, sources, warnings);
    let insecure = sources.pick(key::INSECURE, flags.insecure.then_some(true), read::switch);
    let insecure = insecure.unwrap_or(Setting::default_of(false));
    if *insecure && tokens.value.is_some() {
        warnings.push(format!("insecure ({}) changes nothing: there is a cluster token", insecure.source));
    }
    let bind_addr = sources.pick(key::BIND_ADDR, flags.bind_addr, read::address).unwrap_or_else(|| {
        let open = tokens.value.is_some() || *insecure;
        let address = if open { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        Setting::default_of(IpAddr::V4(address))
    });
    let advertise_host = sources.pick(key::ADVERTISE_HOST, flags.advertise_host.clone(), read::host);
    warn_of_two_addresses(sources, advertise_host.as_ref(), warnings);
    let hosts_file = match sources.pick_path(key::HOSTS_FILE, flags.hosts.clone()) {
        Some(named) => named.map(Some),
        None => Setting::default_of(installed.hosts.exists().then(|| installed.hosts.to_owned())),
    };

    let state_dir = state_dir(flags, sources);
    let models_dir = sources.pick_path(key::MODELS_DIR, flags.models_dir.clone());
    let models_dir = models_dir.unwrap_or_else(|| Setting::default_of(state_dir.join("models")));
    let switch = |sources: &mut Sources<'_>, key, flag: bool| {
        sources.pick(key, flag.then_some(true), read::switch).unwrap_or(Setting::default_of(false))
    };
    let port = |sources: &mut Sources<'_>, key, flag, default| {
        sources.pick(key, flag, read::port).unwrap_or(Setting::default_of(default))
    };
    let time = |sources: &mut Sources<'_>, key, flag, default| {
        sources.pick(key, flag, read::duration).unwrap_or(Setting::default_of(default))
    };
    Some(Settings {
        http_port: port(sources, key::HTTP_PORT, flags.http_port, 8770),
        link_port: port(sources, key::LINK_PORT, flags.link_port, 8765),
        health_port: sources
            .pick(key::HEALTH_PORT, flags.health_port, read::port_or_none)
            .unwrap_or(Setting::default_of(Some(8080))),
        bootstrap_seeds: sources
            .pick(key::BOOTSTRAP_SEEDS, flags.bootstrap_seeds.clone(), read::seeds)
            .unwrap_or(Setting::default_of(Vec::new())),
        voters: voters(flags, sources),
        single_node: switch(sources, key::SINGLE_NODE, flags.single_node),
        state_dir,
        models_dir,
        models_port: sources
            .pick(key::MODELS_PORT, flags.models_port, read::port_or_none)
            .unwrap_or(Setting::default_of(Some(8767))),
        models_watch: sources
            .pick(key::MODELS_WATCH, flags.models_watch, read::switch_or_auto)
            .unwrap_or(Setting::default_of(None)),
        models_keep: sources
            .pick(key::MODELS_KEEP, flags.models_keep, read::versions)
            .unwrap_or(Setting::default_of(3)),
        models_scrub: sources
            .pick(key::MODELS_SCRUB, flags.models_scrub, read::megabytes)
            .unwrap_or(Setting::default_of(20)),
        open_reads: switch(sources, key::OPEN_READS, flags.compat_open_reads),
        open_uploads: switch(sources, key::OPEN_UPLOADS, flags.compat_open_uploads),
        tls: tls(flags, sources),
        heartbeat: time(sources, key::HEARTBEAT, flags.heartbeat, HEARTBEAT),
        election_timeout_min: time(
            sources,
            key::ELECTION_TIMEOUT_MIN,
            flags.election_timeout_min,
            ELECTION_TIMEOUT_MIN,
        ),
        election_timeout_max: time(
            sources,
            key::ELECTION_TIMEOUT_MAX,
            flags.election_timeout_max,
            ELECTION_TIMEOUT_MAX,
        ),
        max_body_bytes: sources
            .pick(key::MAX_BODY_BYTES, flags.max_body_bytes, read::body_bytes)
            .unwrap_or(Setting::default_of(MAX_BODY_BYTES)),
        header_timeout: time(sources, key::HEADER_TIMEOUT, flags.header_timeout, HEADER_TIMEOUT),
        max_connections: sources
            .pick(key::MAX_CONNECTIONS, flags.max_connections, read::connections)
            .unwrap_or(Setting::default_of(MAX_CONNECTIONS)),
        runner: sources.pick(key::RUNNER, flags.runner, read::runner).unwrap_or(Setting::default_of(None)),
        job_classes: sources.classes(),
        data_dir: optional(sources.pick_path(key::DATA_DIR, flags.data_dir.clone())),
        logs_dir: optional(sources.pick_path(key::LOGS_DIR, flags.logs_dir.clone())),
        jobs_fill: sources.pick(key::JOBS_FILL, flags.jobs_fill, read::switch).unwrap_or(Setting::default_of(true)),
        reconnect_window: time(sources, key::RECONNECT_WINDOW, flags.reconnect_window, RECONNECT_WINDOW),
        limits: Limits::gather(flags, sources),
        nvml_library: sources
            .pick(key::NVML_LIBRARY, flags.nvml_library.clone(), read::nvml_library)
            .unwrap_or(Setting::default_of(NvmlLibrary::Auto)),
        log: sources
            .pick(key::LOG, flags.log.clone(), read::words)
            .unwrap_or(Setting::default_of("info,openraft=warn".to_owned())),
        mapped_ports: mapped_ports(sources, warnings),
        node_id: node_id?,
        hosts_file,
        bind_addr,
        advertise_host: optional(advertise_host),
        tokens,
        insecure,
    })
}

fn optional<T>(named: Option<Setting<T>>) -> Setting<Option<T>> {
    named.map_or(Setting::default_of(None), |named| named.map(Some))
}

fn node_id(flags: &Flags, sources: &mut Sources<'_>, host_name: &str) -> Option<Setting<NodeId>> {
    let before = sources.problems.len();
    if let Some(named) = sources.pick(key::NODE_ID, flags.node_id.clone(), read::node_id) {
        return Some(named);
    }
    if sources.problems.len() > before {
        return None;
    }
    let named = host_name.parse().map(|value| Setting { value, source: Source::HostName });
    named.map_err(|_| sources.problems.push(SettingsError::HostName(host_name.to_owned()))).ok()
}

fn voters(flags: &Flags, sources: &mut Sources<'_>) -> Setting<Option<Vec<NodeId>>> {
    // A list with nothing in it would be a cluster that cannot decide anything.
    let named = sources.pick(key::VOTERS, flags.voters.clone(), read::node_ids).filter(|named| !named.is_empty());
    named.map_or(Setting::default_of(None), |named| named.map(Some))
}

fn state_dir(flags: &Flags, sources: &mut Sources<'_>) -> Setting<PathBuf> {
    if let Some(named) = sources.pick_path(key::STATE_DIR, flags.state_dir.clone()) {
        return named;
    }
    // Set by the unit's StateDirectory=, a list with colons (systemd.exec(5)).
    match sources.variable("STATE_DIRECTORY").and_then(|list| list.split(':').next()) {
        Some(first) => Setting { value: first.into(), source: Source::Variable("STATE_DIRECTORY") },
        None => Setting::default_of(Settings::STATE_DIR.into()),
    }
}

fn tls(flags: &Flags, sources: &mut Sources<'_>) -> Setting<Option<TlsFiles>> {
    let files = [
        (key::TLS_CA.name, sources.pick_path(key::TLS_CA, flags.tls_ca.clone())),
        (key::TLS_CERT.name, sources.pick_path(key::TLS_CERT, flags.tls_cert.clone())),
        (key::TLS_KEY.name, sources.pick_path(key::TLS_KEY, flags.tls_key.clone())),
    ];
    if let [(_, Some(ca)), (_, Some(cert)), (_, Some(key))] = files {
        return Setting {
            value: Some(TlsFiles { ca: ca.value, cert: cert.value, key: key.value }),
            source: cert.source,
        };
    }
    let given = files.iter().find_map(|(name, file)| file.as_ref().map(|file| (*name, file.source.clone())));
    let missing = files.iter().find(|(_, file)| file.is_none()).map(|(name, _)| *name);
    if let (Some((given, named_by)), Some(missing)) = (given, missing) {
        sources.problems.push(SettingsError::TlsIncomplete { given, named_by, missing });
    }
    Setting::default_of(None)
}

fn mapped_ports(sources: &Sources<'_>, warnings: &mut Vec<String>) -> BTreeMap<u16, u16> {
    let mut mapped = BTreeMap::new();
    for (name, inside) in sources.names_after("VAST_TCP_PORT_") {
        let Some(text) = sources.variable(name) else { continue };
        match (read::port(inside), read::port(text)) {
            (Ok(inside), Ok(outside)) => {
                mapped.insert(inside, outside);
            }
            // The provider numbers ports that were asked for without a number from 70000 on: none of them is ours.
            (Err(_), _) => {}
            (Ok(_), Err(expected)) => warnings.push(format!("{name}: {expected}, found {text:?}; it is not used")),
        }
    }
    mapped
}

fn warn_of_unread(environment: &BTreeMap<String, String>, warnings: &mut Vec<String>) {
    for name in environment.keys().filter(|name| name.starts_with("RINGRIFT_")) {
        if !key::variables().any(|known| known == name) {
            let hint = did_you_mean(name, key::variables());
            warnings.push(format!("{name} is set, and nothing reads it{hint}"));
        }
    }
}

fn warn_of_two_addresses(sources: &Sources<'_>, used: Option<&Setting<String>>, warnings: &mut Vec<String>) {
    let [first, second] = key::ADVERTISE_HOST.variables else { return };
    let (Some(one), Some(other), Some(used)) = (sources.variable(first), sources.variable(second), used) else {
        return;
    };
    if one != other {
        warnings.push(format!("{first} is {one} and {second} is {other}; {} counts ({})", used.value, used.source));
    }
}
