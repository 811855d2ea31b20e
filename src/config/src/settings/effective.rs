use std::{fmt::Display, time::Duration};

use super::{Settings, setting::Setting, setting::Source};

impl Settings {
    /// Every setting with its effective value and who set it, for the log and `check-config`. No secret is in it.
    pub fn effective(&self) -> Vec<(&'static str, String, Source)> {
        let mut lines = Vec::new();
        let mut add = |name, value: String, source: &Source| lines.push((name, value, source.clone()));

        add("node_id", self.node_id.to_string(), &self.node_id.source);
        add("hosts_file", path_or_none(self.hosts_file.value.as_deref()), &self.hosts_file.source);
        add("bind_addr", self.bind_addr.to_string(), &self.bind_addr.source);
        add("http_port", self.http_port.to_string(), &self.http_port.source);
        add("link_port", self.link_port.to_string(), &self.link_port.source);
        add("health_port", or_none(self.health_port.value), &self.health_port.source);
        add("advertise_host", or_none(self.advertise_host.value.as_ref()), &self.advertise_host.source);
        add("bootstrap_seeds", list(&self.bootstrap_seeds), &self.bootstrap_seeds.source);
        add("voters", self.voters.value.as_ref().map_or_else(none, |v| list(v)), &self.voters.source);
        add("single_node", self.single_node.to_string(), &self.single_node.source);
        add("state_dir", self.state_dir.display().to_string(), &self.state_dir.source);
        let tokens = match &self.tokens.value {
            None => "none",
            Some(tokens) if tokens.old.is_none() => "set",
            Some(_) => "set, and an old one",
        };
        add("token", tokens.to_owned(), &self.tokens.source);
        add("insecure", self.insecure.to_string(), &self.insecure.source);
        let tls = match &self.tls.value {
            None => "derived from the token".to_owned(),
            Some(tls) => format!("{}, {}, {}", tls.ca.display(), tls.cert.display(), tls.key.display()),
        };
        add("tls", tls, &self.tls.source);
        add("heartbeat", duration(&self.heartbeat), &self.heartbeat.source);
        add("election_timeout_min", duration(&self.election_timeout_min), &self.election_timeout_min.source);
        add("election_timeout_max", duration(&self.election_timeout_max), &self.election_timeout_max.source);
        add("max_body_bytes", self.max_body_bytes.to_string(), &self.max_body_bytes.source);
        add("header_timeout", duration(&self.header_timeout), &self.header_timeout.source);
        add("max_connections", self.max_connections.to_string(), &self.max_connections.source);
        add("log", self.log.value.clone(), &self.log.source);
        lines
    }
}

fn none() -> String {
    "none".to_owned()
}

fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(none, |v| v.to_string())
}

fn path_or_none(path: Option<&std::path::Path>) -> String {
    or_none(path.map(std::path::Path::display))
}

fn list<T: Display>(items: &[T]) -> String {
    if items.is_empty() { none() } else { items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",") }
}

fn duration(setting: &Setting<Duration>) -> String {
    format!("{:?}", setting.value)
}
