use std::{collections::BTreeSet, path::Path};

use crate::{
    Finding,
    yaml::{Data, Entry, Map, Node, Resolved, Scalar},
};

/// Reads one map of a hosts file key by key; whatever is not of its type becomes an error with file, line and key.
pub(super) struct Fields<'a> {
    file: &'a Path,
    /// Of the map: `hosts.gpu-1`.
    path: String,
    map: &'a Map,
    asked: BTreeSet<&'static str>,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(file: &'a Path, path: impl Into<String>, map: &'a Map, findings: &'a mut Vec<Finding>) -> Self {
        Self { file, path: path.into(), map, asked: BTreeSet::new(), findings }
    }

    /// The value of a key that has one: null is as if the key were not there.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.insert(key);
        let entry = self.map.get(key)?;
        let is_null = matches!(&entry.value.data, Data::Scalar(scalar) if scalar.is_null());
        (!is_null).then_some(entry)
    }

    /// A text; an empty one says nothing.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let entry = self.node(key)?;
        let text = match &entry.value.data {
            Data::Scalar(scalar) => match scalar.resolve() {
                Resolved::Text(text) => {
                    self.point_out(entry, scalar);
                    text.trim()
                }
                _ => return self.wrong(entry, "a text (in quotes, if this is meant as one)"),
            },
            Data::List(_) | Data::Map(_) => return self.wrong(entry, "a text"),
        };
        Some(text.to_owned()).filter(|text| !text.is_empty())
    }

    /// A text for people, which may well be a number.
    pub(super) fn words(&mut self, key: &'static str) -> Option<String> {
        let entry = self.node(key)?;
        match &entry.value.data {
            Data::Scalar(scalar) => Some(scalar.text.trim().to_owned()).filter(|text| !text.is_empty()),
            Data::List(_) | Data::Map(_) => self.wrong(entry, "a text"),
        }
    }

    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        let entry = self.node(key)?;
        match &entry.value.data {
            Data::Scalar(scalar) => match scalar.resolve() {
                Resolved::Bool(value) => Some(value),
                _ => self.wrong(entry, "true or false"),
            },
            Data::List(_) | Data::Map(_) => self.wrong(entry, "true or false"),
        }
    }

    pub(super) fn port(&mut self, key: &'static str) -> Option<u16> {
        let entry = self.node(key)?;
        port_of(&entry.value).or_else(|| self.wrong(entry, "a port 1..65535"))
    }

    /// A number of things, 0 or more; a fraction is rounded to the nearest.
    pub(super) fn count(&mut self, key: &'static str) -> Option<u64> {
        let entry = self.node(key)?;
        count_of(&entry.value).or_else(|| self.wrong(entry, "a number, 0 or more"))
    }

    /// A number of things that fits `u32`, and is not 0, which means that nobody knows.
    pub(super) fn known_count(&mut self, key: &'static str) -> Option<u32> {
        let entry = self.node(key)?;
        match count_of(&entry.value).and_then(|n| u32::try_from(n).ok()) {
            Some(0) => None,
            Some(n) => Some(n),
            None => self.wrong(entry, "a number, 0 or more"),
        }
    }

    /// The map under a key.
    pub(super) fn map(&mut self, key: &'static str) -> Option<&'a Map> {
        let entry = self.node(key)?;
        entry.value.as_map().or_else(|| self.wrong(entry, "a map"))
    }

    /// The list under a key.
    pub(super) fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        let entry = self.node(key)?;
        match &entry.value.data {
            Data::List(items) => Some(items),
            Data::Scalar(_) | Data::Map(_) => self.wrong(entry, "a list"),
        }
    }

    /// Keys that nobody has asked for.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'a Entry> {
        self.map.entries().iter().filter(|entry| !self.asked.contains(entry.key.as_str()))
    }

    /// Every key that this version knows here, for "did you mean".
    pub(super) fn known(&self) -> &BTreeSet<&'static str> {
        &self.asked
    }

    pub(super) fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn error(&mut self, line: usize, key: &str, message: impl Into<String>) {
        let finding = Finding::error(self.file, line, &self.key_path(key), message);
        self.findings.push(finding);
    }

    pub(super) fn warn(&mut self, line: impl Into<Option<usize>>, key: &str, message: impl Into<String>) {
        let finding = Finding::warning(self.file, line, &self.key_path(key), message);
        self.findings.push(finding);
    }

    /// An error about a key that is not there.
    pub(super) fn missing(&mut self, key: &str, message: &str) {
        let finding = Finding::error(self.file, None, &self.key_path(key), message);
        self.findings.push(finding);
    }

    /// A warning about a key that is there.
    pub(super) fn warn_at(&mut self, key: &str, message: impl Into<String>) {
        self.warn(self.map.get(key).map(|entry| entry.line), key, message);
    }

    /// What is wrong inside a key's value, in its own map.
    pub(super) fn inside<'b>(&'b mut self, key: &str, map: &'b Map) -> Fields<'b> {
        Fields::new(self.file, self.key_path(key), map, self.findings)
    }

    pub(super) fn wrong<T>(&mut self, entry: &Entry, expected: &str) -> Option<T> {
        let message = format!("expected {expected}, found {}", entry.value.describe());
        self.error(entry.line, &entry.key, message);
        None
    }

    fn point_out(&mut self, entry: &Entry, scalar: &Scalar) {
        if let Some(other) = scalar.ambiguity() {
            let message = format!("{:?} is {other} to YAML 1.1 readers; put it in quotes", scalar.text);
            self.warn(entry.line, &entry.key, message);
        }
    }
}

/// A port, also in quotes.
pub(super) fn port_of(node: &Node) -> Option<u16> {
    let Data::Scalar(scalar) = &node.data else { return None };
    scalar.text.trim().parse().ok().filter(|port| *port != 0)
}

pub(super) fn count_of(node: &Node) -> Option<u64> {
    let Data::Scalar(scalar) = &node.data else { return None };
    match scalar.resolve() {
        Resolved::Integer(n) => u64::try_from(n).ok(),
        Resolved::Unsigned(n) => Some(n),
        Resolved::Float(n) if (0.0..1e15).contains(&n) => Some(n.round() as u64),
        _ => None,
    }
}
