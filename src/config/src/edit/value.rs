//! What somebody types for a setting becomes YAML of the setting's type.

use serde_yaml::Value;

use super::{
    error::EditError,
    write::{self, Quotes},
};
use crate::{NodeId, yaml};

/// Settings that are texts, whatever they look like: `ssh_user: '123'`.
const TEXTS: [&str; 14] = [
    "arch",
    "gpu",
    "note",
    "region",
    "ringrift_path",
    "role",
    "ssh_host",
    "ssh_host_key",
    "ssh_key",
    "ssh_user",
    "status",
    "storage_paths",
    "tailscale_ip",
    "venv_activate",
];

/// The parts of a key such as `storage_paths.games`.
pub(super) fn keys<'a>(host: &NodeId, key: &'a str) -> Result<Vec<&'a str>, EditError> {
    let keys: Vec<&str> = key.split('.').collect();
    let part = |part: &&str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if keys.iter().all(part) {
        return Ok(keys);
    }
    let why = "is no key: letters, digits, _ and -, and dots that lead into a map";
    Err(EditError::Key { host: host.clone(), key: key.to_owned(), why })
}

/// What is written for it.
pub(super) fn written(keys: &[&str], typed: &str, quotes: Quotes) -> String {
    match raw(keys, typed) {
        Some(raw) => raw.to_owned(),
        None => write::text(typed, quotes),
    }
}

/// What is then read.
pub(super) fn read(keys: &[&str], typed: &str) -> Value {
    let raw = raw(keys, typed).and_then(|raw| yaml::parse(raw).ok().flatten());
    raw.map_or_else(|| typed.into(), |node| node.to_value())
}

/// The typed text itself where it is YAML for something else than a text: a number, a truth value, `{8770: 41234}`.
fn raw<'a>(keys: &[&str], typed: &'a str) -> Option<&'a str> {
    let typed = typed.trim();
    let is_text = keys.first().is_some_and(|key| TEXTS.contains(key));
    if is_text || typed.contains(['\n', '\r', '#', '\u{feff}']) {
        return None;
    }
    let node = yaml::parse(typed).ok().flatten()?;
    let is_flow = typed.starts_with(['{', '[']);
    match node.to_value() {
        Value::Bool(_) | Value::Number(_) => Some(typed),
        Value::Mapping(_) | Value::Sequence(_) if is_flow => Some(typed),
        _ => None,
    }
}
