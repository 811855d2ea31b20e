use std::fmt;

use ringrift_config::Host;
use ringrift_fleet::{Outcome, Unreached};
use serde_json::{Map, Value, json};

use crate::paint::Tone;

/// How it stands with the daemon of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers, or systemd says that it is ready.
    Running(Running),
    /// It is on its way up, or systemd waits before it tries again.
    Starting(String),
    /// Nobody wants it to run.
    Stopped,
    /// It was to run, and does not.
    Failed(String),
    /// The program, or its unit, is not there.
    NotInstalled(String),
    /// The node was not reached: its daemon may well run.
    Unreachable(Unreached),
    /// It was reached, and did not answer in its time, or not what was asked.
    Unknown(String),
    /// Nobody expects a daemon there.
    Skipped(String),
}

/// What is known of one that runs; empty where nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) role: String,
    pub(crate) version: String,
    pub(crate) advertise: String,
}

impl State {
    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Starting(_) => "starting",
            Self::Stopped => "stopped",
            Self::Failed(_) => "failed",
            Self::NotInstalled(_) => "not installed",
            Self::Unreachable(_) => "unreachable",
            Self::Unknown(_) => "unknown",
            Self::Skipped(_) => "skipped",
        }
    }

    /// The mark of the runbook, and its colour.
    pub(crate) fn mark(&self) -> (&'static str, Tone) {
        match self {
            Self::Running(_) => ("✓", Tone::Good),
            Self::Starting(_) => ("…", Tone::Warn),
            Self::Skipped(_) => ("-", Tone::Faint),
            Self::Stopped | Self::Failed(_) | Self::NotInstalled(_) | Self::Unreachable(_) | Self::Unknown(_) => {
                ("✗", Tone::Bad)
            }
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    /// What mends it.
    pub(crate) fn remedy(&self, host: &Host) -> Option<String> {
        let id = &host.id;
        match self {
            Self::Stopped => Some(format!("`ringriftctl cluster start --node {id}`")),
            Self::Failed(_) => Some(format!("`ringriftctl logs --node {id}` says why")),
            Self::NotInstalled(_) => Some("docs/operations.md: Install".to_owned()),
            Self::Unreachable(unreached) => Some(unreached.fault().remedy(host)),
            Self::Starting(_) | Self::Unknown(_) => {
                Some(format!("`ringriftctl cluster check --node {id}` in a moment"))
            }
            Self::Running(_) | Self::Skipped(_) => None,
        }
    }

    /// For `--json`.
    pub(crate) fn json(&self, host: &Host) -> Map<String, Value> {
        let mut json =
            json!({ "node_id": host.id, "state": self.word().replace(' ', "_"), "message": self.to_string() });
        match self {
            Self::Running(running) => {
                json["pid"] = json!(running.pid);
                json["role"] = json!(running.role);
                json["version"] = json!(running.version);
                json["advertise_host"] = json!(running.advertise);
            }
            Self::Unreachable(unreached) => {
                json["reason"] = json!(unreached.fault().as_str());
                let tried = unreached.tried.iter().map(
                    |(address, port, fault)| json!({ "host": address, "port": port, "reason": fault.as_str(), "message": fault.to_string() }),
                );
                json["tried"] = tried.collect();
            }
            Self::Starting(_)
            | Self::Stopped
            | Self::Failed(_)
            | Self::NotInstalled(_)
            | Self::Unknown(_)
            | Self::Skipped(_) => {}
        }
        json["remedy"] = json!(self.remedy(host));
        match json {
            Value::Object(json) => json,
            _ => Map::new(),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(running) => write!(f, "running{running}"),
            Self::Stopped => f.write_str("stopped"),
            Self::Starting(why)
            | Self::Failed(why)
            | Self::NotInstalled(why)
            | Self::Unknown(why)
            | Self::Skipped(why) => {
                write!(f, "{} ({why})", self.word())
            }
            Self::Unreachable(unreached) => match unreached.tried.as_slice() {
                [_] => write!(f, "unreachable ({})", unreached.fault()),
                _ => write!(f, "unreachable: {unreached}"),
            },
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts = Vec::new();
        if self.pid != 0 {
            facts.push(format!("PID {}", self.pid));
        }
        if !self.role.is_empty() {
            facts.push(self.role.clone());
        }
        if !self.version.is_empty() {
            facts.push(format!("version {}", self.version));
        }
        if !self.advertise.is_empty() {
            facts.push(format!("advertise={}", self.advertise));
        }
        if facts.is_empty() { Ok(()) } else { write!(f, " ({})", facts.join(", ")) }
    }
}

impl From<Outcome<Self>> for State {
    fn from(outcome: Outcome<Self>) -> Self {
        match outcome {
            Outcome::Done(state) => state,
            Outcome::Overdue(after) => Self::Unknown(format!("no end after {:.0} s", after.as_secs_f64())),
            Outcome::Interrupted => Self::Unknown("given up in the middle".to_owned()),
            Outcome::NotBegun => Self::Unknown("not begun".to_owned()),
        }
    }
}
