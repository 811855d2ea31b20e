//! What an operator would want to be told about a file that can be used.

use std::collections::BTreeMap;

use super::{
    Host, HostsFile,
    address::{is_loopback, is_placeholder},
};
use crate::{Finding, NodeId};

/// Fewer voters survive no loss, more of them make every decision slower (design §1).
const VOTERS: std::ops::RangeInclusive<usize> = 3..=9;

/// What notes say of machines that are gone.
const GONE: [&str; 5] = ["terminated", "destroyed", "retired", "decommissioned", "deleted"];

impl HostsFile {
    /// Everything that somebody should look at, in the order of the file: what was odd while reading, and the traps that
    /// real clusters fell into (contract §3).
    pub fn check(&self) -> Vec<Finding> {
        let mut advice = Advice { file: self, findings: self.warnings.clone() };
        advice.voter_list();
        for voter in self.voters.iter().flatten() {
            advice.voter(voter);
        }
        advice.same_endpoints();
        for host in self.hosts.values() {
            advice.host(host);
        }
        advice.bandwidth_patterns();
        advice.findings.sort_by_key(|finding| finding.line);
        advice.findings
    }

    /// The line of `hosts.<id>`, or of a key below it.
    pub(crate) fn line_of(&self, id: &NodeId, key: Option<&str>) -> Option<usize> {
        let host = self.document.get("hosts")?.value.as_map()?.get(id.as_str())?;
        let inner = key.and_then(|key| host.value.as_map()?.get(key));
        Some(inner.unwrap_or(host).line)
    }
}

struct Advice<'a> {
    file: &'a HostsFile,
    findings: Vec<Finding>,
}

impl Advice<'_> {
    fn voter_list(&mut self) {
        let line = self.file.document.get("p2p_voters").map(|entry| entry.line);
        let Some(voters) = &self.file.voters else {
            let message = "missing: no daemon starts on this file, except with --single-node; list 3 to 9 stable hosts";
            return self.warn(line, "p2p_voters", message);
        };
        let count = voters.len();
        let quorum = count / 2 + 1;
        if count > 0 && count.is_multiple_of(2) {
            let message = format!(
                "{count} voters survive the loss of {} of them, as {} would: drop one or add one",
                count - quorum,
                count - 1,
            );
            self.warn(line, "p2p_voters", message);
        }
        if !VOTERS.contains(&count) {
            let message = match count {
                0 => "the list is empty: no daemon starts on this file, except with --single-node".to_owned(),
                1 | 2 => format!("{count} of 3 to 9 voters: the loss of one stops the cluster"),
                _ => format!("{count} voters: more than 9 make every decision slower and none safer"),
            };
            self.warn(line, "p2p_voters", message);
        }
        let able = voters.iter().filter(|v| self.file.hosts.get(*v).is_some_and(Host::runs_daemon)).count();
        if count > 0 && able < quorum {
            let message = format!(
                "only {able} of {count} voters are ready and p2p_enabled, and a leader needs {quorum}: there will be none",
            );
            self.warn(line, "p2p_voters", message);
        }
    }

    fn voter(&mut self, id: &NodeId) {
        let Some(host) = self.file.hosts.get(id) else { return };
        if !host.is_ready() {
            let message = format!("is a voter and its status is {}: it counts against the quorum", host.status);
            self.about(host, "status", message);
        }
        if !host.p2p_enabled {
            self.about(host, "p2p_enabled", "is a voter and runs no daemon: it counts against the quorum");
        }
        if host.is_macos() {
            self.about(host, "", "is a voter and seems to run macOS: the daemon is built for Linux, and laptops sleep");
        }
        if host.is_ephemeral {
            self.about(host, "is_ephemeral", "is a voter and may be gone at any time");
        }
        if host.dials_out_only() {
            let key = if host.nat_blocked { "nat_blocked" } else { "force_relay_mode" };
            self.about(
                host,
                key,
                "is a voter that cannot be dialled: two such voters reach each other through a third only",
            );
        }
    }

    fn host(&mut self, host: &Host) {
        for (key, value) in [("ssh_host", &host.ssh_host), ("ringrift_path", &host.ringrift_path)] {
            // Inside a path a word like `your` may be somebody's name; an address has no such words.
            if value
                .as_deref()
                .is_some_and(|text| if key == "ssh_host" { is_placeholder(text) } else { text.contains('<') })
            {
                let message = format!("{:?} is a placeholder", value.as_deref().unwrap_or_default());
                self.about(host, key, message);
            }
        }
        let note = host.note.as_deref().unwrap_or_default().to_lowercase();
        if host.is_ready()
            && let Some(word) = GONE.iter().find(|word| note.contains(*word))
        {
            self.about(
                host,
                "note",
                format!("the host is ready and its note says {word}: {:?}", host.note.as_deref().unwrap_or_default()),
            );
        }
        if host.runs_daemon() && !host.dials_out_only() && host.dial_host().is_none() {
            let reason = match &host.ssh_host {
                None => "it has no address: set tailscale_ip or ssh_host".to_owned(),
                Some(name) if is_placeholder(name) => return,
                Some(name) if is_loopback(name) => {
                    format!(
                        "{name} is every host's own name for itself: set tailscale_ip, or nat_blocked if it has no address that others reach"
                    )
                }
                Some(name) => format!("{name} forwards the ports of several hosts: set tailscale_ip, or nat_blocked"),
            };
            self.about(host, "ssh_host", format!("other nodes cannot dial this host: {reason}"));
        }
    }

    fn same_endpoints(&mut self) {
        let mut first: BTreeMap<(String, u16), &NodeId> = BTreeMap::new();
        for host in self.file.hosts.values() {
            for (address, port) in host.ssh_endpoints() {
                let endpoint = (address, port);
                if let Some(other) = first.get(&endpoint) {
                    let (address, port) = &endpoint;
                    let key = if host.tailscale_ip.as_ref() == Some(address) { "tailscale_ip" } else { "ssh_host" };
                    let line = self.file.line_of(other, None).map(|line| format!(" (line {line})")).unwrap_or_default();
                    self.about(host, key, format!("{address}:{port} belongs to {other}{line} as well"));
                } else {
                    first.insert(endpoint, &host.id);
                }
            }
        }
    }

    fn bandwidth_patterns(&mut self) {
        for pattern in &self.file.auto_sync.host_bandwidth_overrides {
            if !self.file.hosts.keys().any(|id| pattern.matches(id)) {
                let key = format!("auto_sync.host_bandwidth_overrides.{}", pattern.pattern());
                self.warn(pattern.line, &key, "the pattern fits no host");
            }
        }
    }

    fn about(&mut self, host: &Host, key: &str, message: impl Into<String>) {
        let line = self.file.line_of(&host.id, Some(key));
        let path = if key.is_empty() { format!("hosts.{}", host.id) } else { format!("hosts.{}.{key}", host.id) };
        self.warn(line, &path, message);
    }

    fn warn(&mut self, line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) {
        self.findings.push(Finding::warning(&self.file.path, line, key, message));
    }
}
