//! What `ringriftctl hosts list | show NAME | check` prints.

use std::{fmt, path::PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{Finding, Host, HostsError, HostsFile, NodeId, Severity, nearest::did_you_mean};

/// The hosts as a table, one a line, voters marked.
pub fn list(file: &HostsFile) -> String {
    const TITLES: [&str; 7] = ["NAME", "STATUS", "ROLE", "GPU", "ADDRESS", "VOTER", "DIAL-OUT"];
    let rows = file.hosts.values().map(|host| {
        [
            host.id.to_string(),
            host.status.to_string(),
            host.role.to_string(),
            host.gpu.as_ref().map(ToString::to_string).unwrap_or_default(),
            host.dial_host().unwrap_or_default(),
            mark(file.is_voter(&host.id)),
            mark(host.dials_out_only()),
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(TITLES.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or_default());
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{:width$}", or_dash(cell))).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.push_str(&summary(file));
    text.push('\n');
    text
}

/// The whole file as JSON, the hosts in its order; `extra` has the sections that nothing here reads.
pub fn list_json(file: &HostsFile) -> Value {
    json!({
        "file": file.path,
        "revision": file.revision,
        "p2p_voters": file.voters,
        "auto_sync": file.auto_sync,
        "extra": file.extra,
        "hosts": file.hosts.values().map(|host| show_json(file, host)).collect::<Vec<_>>(),
    })
}

/// The host `name`, or the sentence that there is none.
pub fn find<'a>(file: &'a HostsFile, name: &str) -> Result<&'a Host, UnknownHost> {
    file.hosts.get(name).ok_or_else(|| UnknownHost {
        name: name.to_owned(),
        file: file.path.clone(),
        hint: did_you_mean(name, file.hosts.keys().map(NodeId::as_str)),
    })
}

/// There is no host of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} has no host {name}{hint}", file.display())]
pub struct UnknownHost {
    /// The name that was asked for.
    pub name: String,
    /// The hosts file.
    pub file: PathBuf,
    hint: String,
}

/// Everything that the file says of one host, and what follows from it.
pub fn show(file: &HostsFile, host: &Host) -> String {
    let words = |words: Vec<String>| words.join(", ");
    let endpoint = |(address, port): (String, u16)| format!("{address}:{port}");
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut add = |key: &str, value: String| {
        if !value.is_empty() {
            lines.push((key.to_owned(), value));
        }
    };
    add("name", host.id.to_string());
    add("line", file.line_of(&host.id, None).map(|l| format!("{}:{l}", file.path.display())).unwrap_or_default());
    add("status", format!("{}{}", host.status, if host.is_ready() { "" } else { " (gets no work)" }));
    add("role", host.role.to_string());
    add("may do", words(host.capabilities().iter().map(ToString::to_string).collect()));
    add("voter", yes(file.is_voter(&host.id)));
    add("daemon", if host.p2p_enabled { "yes" } else { "no (p2p_enabled: false)" }.to_owned());
    let dialled = match (host.dials_out_only(), host.dial_host()) {
        (true, _) => "no: it dials out only".to_owned(),
        (false, Some(address)) => address,
        (false, None) => "no address that others could dial".to_owned(),
    };
    add("dialled at", dialled);
    add("ssh", words(host.ssh_endpoints().into_iter().map(endpoint).collect()));
    add("ssh user", host.ssh_user.clone().unwrap_or_default());
    add("ssh key", host.ssh_key.clone().unwrap_or_default());
    let number = |n: Option<u64>, unit: &str| n.map(|n| format!("{n}{unit}")).unwrap_or_default();
    add("gpu", host.gpu.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
    add("gpu memory", number(host.gpu_vram_gb, " GiB"));
    add("cpus", number(host.cpus.map(u64::from), ""));
    add("memory", number(host.memory_gb, " GiB"));
    add("jobs at once", number(host.max_parallel_jobs.map(u64::from), ""));
    add("path", host.ringrift_path.clone().unwrap_or_default());
    add("venv", host.venv_activate.clone().unwrap_or_default());
    add("region", host.region.clone().unwrap_or_default());
    add("arch", host.arch.clone().unwrap_or_default());
    add("ssh host key", host.ssh_host_key.clone().unwrap_or_default());
    add("bandwidth", number(file.auto_sync.limit_mbps(&host.id), " Mbit/s"));
    let kinds = [("container", host.is_container), ("ephemeral", host.is_ephemeral)];
    add("kind", words(kinds.into_iter().filter(|(_, is)| *is).map(|(word, _)| word.to_owned()).collect()));
    add("note", host.note.clone().unwrap_or_default());
    for (key, value) in &host.provider_ids {
        add(key, value.clone());
    }
    for (key, value) in &host.extra {
        let text = serde_yaml::to_string(value).unwrap_or_default();
        add(&format!("{key} (unknown)"), text.trim_end().replace('\n', " "));
    }
    let width = lines.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
    lines.iter().fold(String::new(), |text, (key, value)| text + &format!("{key:width$}  {value}\n"))
}

/// The same as JSON: the file's keys, and `line`, `is_voter`, `capabilities`, `dial_host`, `dials_out_only`,
/// `ssh_endpoints`.
pub fn show_json(file: &HostsFile, host: &Host) -> Value {
    let mut value = serde_json::to_value(host).expect("a host has text keys alone");
    value["line"] = json!(file.line_of(&host.id, None));
    value["is_voter"] = json!(file.is_voter(&host.id));
    value["capabilities"] = json!(host.capabilities());
    value["dial_host"] = json!(host.dial_host());
    value["dials_out_only"] = json!(host.dials_out_only());
    let endpoints = host.ssh_endpoints().into_iter().map(|(host, port)| json!({ "host": host, "port": port }));
    value["ssh_endpoints"] = endpoints.collect();
    value
}

/// The verdict on a file: `Display` prints it line by line, `Serialize` makes it JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Whether a program can use it.
    pub ok: bool,
    /// How many errors are among the findings.
    pub errors: usize,
    /// How many warnings are among the findings.
    pub warnings: usize,
    /// In the order of the file.
    pub findings: Vec<Finding>,
    /// One line about what is in it, if it can be used.
    pub summary: Option<String>,
}

impl Check {
    /// Judges what came of reading `file`.
    pub fn of(file: impl Into<PathBuf>, read: &Result<HostsFile, HostsError>) -> Self {
        let findings = match read {
            Ok(hosts) => hosts.check(),
            Err(error) => error.findings(),
        };
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        let summary = read.as_ref().ok().map(summary);
        Self { file: file.into(), ok: read.is_ok(), errors, warnings, findings, summary }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(f, "{severity}: {finding}")?;
        }
        if let Some(summary) = &self.summary {
            writeln!(f, "{summary}")?;
        }
        writeln!(f, "{}: {}, {}", self.file.display(), many(self.errors, "error"), many(self.warnings, "warning"))
    }
}

fn summary(file: &HostsFile) -> String {
    let running = file.hosts.values().filter(|host| host.runs_daemon()).count();
    let voters = match &file.voters {
        None => "no p2p_voters".to_owned(),
        Some(voters) => format!("{}, quorum {}", many(voters.len(), "voter"), voters.len() / 2 + 1),
    };
    format!("{}, {running} of them ready with a daemon; {voters}", many(file.hosts.len(), "host"))
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn mark(is: bool) -> String {
    if is { "yes".to_owned() } else { String::new() }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn or_dash(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

#[cfg(test)]
mod tests;
