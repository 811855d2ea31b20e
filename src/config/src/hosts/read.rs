//! A parsed document becomes hosts, voters and findings.

use std::{collections::BTreeMap, path::Path};

use indexmap::IndexMap;
use serde_yaml::Value;

use super::{
    AutoSync, Gpu, Host, PublicPorts, Role, Status, StoragePaths,
    address::{is_loopback, is_placeholder},
    auto_sync::BandwidthOverride,
    fields::{Fields, port_of},
};
use crate::{
    Finding, NodeId,
    nearest::did_you_mean,
    yaml::{Data, Entry, Map, Node},
};

/// What a document says.
pub(super) struct Content {
    pub(super) hosts: IndexMap<NodeId, Host>,
    pub(super) voters: Option<Vec<NodeId>>,
    pub(super) auto_sync: AutoSync,
    pub(super) extra: IndexMap<String, Value>,
}

/// Sections that other parts of the program, or other programs, read: kept as they are.
const OTHER_SECTIONS: [&str; 6] =
    ["elo_sync", "sync_routing", "protocols", "disk_management", "consolidation", "provider_timeouts"];

/// Reads everything, and tells everything that is wrong.
pub(super) fn content(file: &Path, root: &Map, findings: &mut Vec<Finding>) -> Content {
    let mut top = Fields::new(file, "", root, findings);
    let auto_sync = top.map("auto_sync").map(|map| auto_sync(&mut top.inside("auto_sync", map))).unwrap_or_default();
    let mut hosts = hosts(&mut top);
    settle_addresses(&mut hosts);
    let voters = voters(&mut top, &hosts);

    let mut extra = IndexMap::new();
    for name in OTHER_SECTIONS {
        if let Some(entry) = top.node(name) {
            extra.insert(name.to_owned(), entry.value.to_value());
        }
    }
    keep_unknown(&mut top, &mut extra);
    Content { hosts, voters, auto_sync, extra }
}

fn hosts(top: &mut Fields<'_>) -> IndexMap<NodeId, Host> {
    let mut hosts = IndexMap::new();
    if top.node("hosts").is_none() {
        top.missing("hosts", "missing: a hosts file describes its hosts under `hosts:`");
    }
    let Some(map) = top.map("hosts") else { return hosts };
    let mut section = top.inside("hosts", map);
    for entry in map.entries() {
        let id: NodeId = match entry.key.parse() {
            Ok(id) => id,
            Err(error) => {
                section.error(entry.line, &entry.key, format!("{error}"));
                continue;
            }
        };
        // `gpu-1:` with nothing under it is a host of which nothing is said.
        let empty = Map::default();
        let fields = match &entry.value.data {
            Data::Map(fields) => fields,
            Data::Scalar(scalar) if scalar.is_null() => &empty,
            Data::Scalar(_) | Data::List(_) => {
                section.wrong::<()>(entry, "a map with the host's settings");
                continue;
            }
        };
        let host = host(&mut section.inside(&entry.key, fields), id.clone(), entry.line);
        hosts.insert(id, host);
    }
    hosts
}

fn host(fields: &mut Fields<'_>, id: NodeId, line: usize) -> Host {
    let (ssh_host, user_in_host) = match fields.text("ssh_host") {
        Some(text) => match text.split_once('@') {
            Some((user, host)) => (Some(host.to_owned()), Some(user.to_owned())),
            None => (Some(text), None),
        },
        None => (None, None),
    };
    let mut host = Host {
        id,
        ssh_host,
        ssh_user: fields.text("ssh_user").or(user_in_host),
        ssh_port: fields.port("ssh_port").unwrap_or(Host::SSH_PORT),
        ssh_key: fields.text("ssh_key"),
        tailscale_ip: tailscale_ip(fields),
        ringrift_path: fields.text("ringrift_path"),
        venv_activate: fields.text("venv_activate"),
        status: status(fields, line),
        role: role(fields, line),
        cpus: fields.known_count("cpus"),
        memory_gb: fields.count("memory_gb").filter(|gb| *gb > 0),
        gpu: fields.text("gpu").as_deref().and_then(Gpu::parse),
        gpu_vram_gb: fields.count("gpu_vram_gb").filter(|gb| *gb > 0),
        max_parallel_jobs: fields.known_count("max_parallel_jobs"),
        p2p_enabled: fields.switch("p2p_enabled").unwrap_or(true),
        selfplay_enabled: fields.switch("selfplay_enabled"),
        training_enabled: fields.switch("training_enabled"),
        nat_blocked: fields.switch("nat_blocked").unwrap_or(false),
        force_relay_mode: fields.switch("force_relay_mode").unwrap_or(false),
        is_container: fields.switch("is_container").unwrap_or(false),
        is_ephemeral: fields.switch("is_ephemeral").unwrap_or(false),
        needs_userspace_tailscale: fields.switch("needs_userspace_tailscale").unwrap_or(false),
        socks5_port: fields.port("socks5_port"),
        p2p_public_port: public_ports(fields),
        region: fields.text("region"),
        arch: fields.text("arch"),
        ssh_host_key: fields.text("ssh_host_key"),
        note: fields.words("note"),
        storage_paths: fields.map("storage_paths").map(|map| storage_paths(&mut fields.inside("storage_paths", map))),
        provider_ids: IndexMap::new(),
        extra: IndexMap::new(),
        ssh_host_is_its_own: true,
    };
    let ids: Vec<&Entry> = fields.rest().filter(|entry| is_provider_id(entry)).collect();
    for entry in ids {
        if let Data::Scalar(scalar) = &entry.value.data {
            host.provider_ids.insert(entry.key.clone(), scalar.text.clone());
        }
    }
    keep_unknown(fields, &mut host.extra);
    host
}

fn tailscale_ip(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.text("tailscale_ip")?;
    if is_placeholder(&text) {
        fields.warn_at("tailscale_ip", format!("{text:?} is a placeholder; it is read as if nothing stood here"));
        return None;
    }
    if text.parse::<std::net::IpAddr>().is_err() {
        fields.warn_at("tailscale_ip", format!("{text:?} is not an IP address; it is dialled as a name"));
    }
    Some(text)
}

fn status(fields: &mut Fields<'_>, line: usize) -> Status {
    let Some(text) = fields.text("status") else {
        fields.warn(line, "status", "missing: read as ready");
        return Status::Ready;
    };
    let status = Status::from(text.as_str());
    if let Status::Other(text) = &status {
        let hint = did_you_mean(text, Status::NAMES);
        fields.warn_at("status", format!("unknown status {text:?}: the host gets no work{hint}"));
    }
    status
}

fn role(fields: &mut Fields<'_>, line: usize) -> Role {
    let Some(text) = fields.text("role") else {
        fields.warn(line, "role", "missing: the host is given nothing to do");
        return Role::new("");
    };
    let role = Role::new(&text);
    if !role.is_known() {
        let hint = did_you_mean(&text, Role::names());
        fields.warn_at("role", format!("unknown role {text:?}: the host is given nothing to do{hint}"));
    }
    role
}

fn public_ports(fields: &mut Fields<'_>) -> PublicPorts {
    const WHAT: &str = "a port 1..65535, or a map of ports such as {8770: 41234, 8765: 41235}";
    let mut ports = PublicPorts::default();
    let Some(entry) = fields.node("p2p_public_port") else { return ports };
    match &entry.value.data {
        Data::Scalar(_) => match port_of(&entry.value) {
            Some(outside) => ports.insert(PublicPorts::SINGLE, outside),
            None => {
                fields.wrong::<()>(entry, WHAT);
            }
        },
        Data::Map(map) => {
            for line in map.entries() {
                if let (Ok(inside @ 1..), Some(outside)) = (line.key.parse::<u16>(), port_of(&line.value)) {
                    ports.insert(inside, outside);
                    continue;
                }
                let key = format!("p2p_public_port.{}", line.key);
                let found = line.value.describe();
                fields.error(line.line, &key, format!("expected two ports 1..65535, inside: outside, found {found}"));
            }
        }
        Data::List(_) => {
            fields.wrong::<()>(entry, WHAT);
        }
    }
    ports
}

fn storage_paths(fields: &mut Fields<'_>) -> StoragePaths {
    let paths = StoragePaths {
        games: fields.text("games"),
        models: fields.text("models"),
        training_data: fields.text("training_data"),
        checkpoints: fields.text("checkpoints"),
        logs: fields.text("logs"),
        sync_incoming: fields.text("sync_incoming"),
    };
    keep_unknown(fields, &mut IndexMap::new());
    paths
}

fn auto_sync(fields: &mut Fields<'_>) -> AutoSync {
    let bandwidth_limit_mbps = fields.count("bandwidth_limit_mbps");
    let mut host_bandwidth_overrides = Vec::new();
    if let Some(map) = fields.map("host_bandwidth_overrides") {
        let mut section = fields.inside("host_bandwidth_overrides", map);
        for entry in map.entries() {
            let Some(mbps) = super::fields::count_of(&entry.value) else {
                section.wrong::<()>(entry, "megabits per second, 0 or more");
                continue;
            };
            match BandwidthOverride::new(&entry.key, mbps, entry.line) {
                Ok(line) => host_bandwidth_overrides.push(line),
                Err(error) => {
                    let message = format!("is no pattern of host names: {}", error.kind());
                    section.error(entry.line, &entry.key, message);
                }
            }
        }
    }
    AutoSync { bandwidth_limit_mbps, host_bandwidth_overrides }
}

fn voters(top: &mut Fields<'_>, hosts: &IndexMap<NodeId, Host>) -> Option<Vec<NodeId>> {
    let items = top.list("p2p_voters")?;
    let mut voters: Vec<NodeId> = Vec::new();
    let mut lines = BTreeMap::new();
    for (i, item) in items.iter().enumerate() {
        let key = format!("p2p_voters.{i}");
        let name = match &item.data {
            Data::Scalar(scalar) if !scalar.is_null() => scalar.text.as_str(),
            Data::Scalar(_) | Data::List(_) | Data::Map(_) => {
                top.error(item.line, &key, format!("expected the name of a host, found {}", item.describe()));
                continue;
            }
        };
        let Some((id, _)) = hosts.get_key_value(name) else {
            let hint = did_you_mean(name, hosts.keys().map(NodeId::as_str));
            top.error(item.line, &key, format!("the voter {name} is not under hosts{hint}"));
            continue;
        };
        if let Some(first) = lines.insert(id.clone(), item.line) {
            top.error(item.line, &key, format!("the voter {name} is on line {first} already"));
            continue;
        }
        voters.push(id.clone());
    }
    Some(voters)
}

/// A name that many hosts share with different ports is a provider's forwarder; a loopback name means another machine on
/// every machine, unless all hosts of the file are on one.
fn settle_addresses(hosts: &mut IndexMap<NodeId, Host>) {
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    let mut forwarders = Vec::new();
    for host in hosts.values() {
        let Some(name) = &host.ssh_host else { continue };
        if ports.insert(name.clone(), host.ssh_port).is_some_and(|port| port != host.ssh_port) {
            forwarders.push(name.clone());
        }
    }
    let on_one_machine =
        hosts.values().all(|host| host.tailscale_ip.iter().chain(&host.ssh_host).all(|address| is_loopback(address)));
    for host in hosts.values_mut() {
        host.ssh_host_is_its_own = host.ssh_host.as_ref().is_some_and(|name| {
            !forwarders.contains(name) && !is_placeholder(name) && (on_one_machine || !is_loopback(name))
        });
    }
}

/// `vast_instance_id`, `hetzner_id` and whatever provider comes next.
fn is_provider_id(entry: &Entry) -> bool {
    entry.key.ends_with("_id") && matches!(&entry.value.data, Data::Scalar(scalar) if !scalar.is_null())
}

fn keep_unknown(fields: &mut Fields<'_>, extra: &mut IndexMap<String, Value>) {
    let unknown: Vec<(&str, usize, &Node)> = fields
        .rest()
        .filter(|entry| !is_provider_id(entry))
        .map(|entry| (entry.key.as_str(), entry.line, &entry.value))
        .collect();
    for (key, line, value) in unknown {
        let hint = did_you_mean(key, fields.known().iter().copied());
        fields.warn(line, key, format!("unknown key: kept, and read by nothing here{hint}"));
        extra.insert(key.to_owned(), value.to_value());
    }
}
