//! Where a hosts file names its hosts, beside `hosts` itself.

use serde_yaml::Value;

use crate::yaml::{Data, Entry, Node};

/// Lists of names: whoever is removed is taken out of them.
const LISTS: [&[&str]; 5] = [
    &["p2p_voters"],
    &["sync_routing", "excluded_hosts"],
    &["sync_routing", "priority_hosts"],
    &["auto_sync", "exclude_hosts"],
    &["consolidation", "excluded_nodes"],
];

/// One name: it is changed with the host's, and told of when the host is removed, since somebody must decide who comes after it.
const COORDINATOR: [&str; 2] = ["elo_sync", "coordinator"];

/// The same in each item of a list.
const STORAGE: [&str; 2] = ["sync_routing", "allowed_external_storage"];
const STORAGE_HOST: &str = "host";

/// The lists of names that are there, each with its key.
pub(super) fn lists(root: &Node) -> impl Iterator<Item = (&'static [&'static str], &Entry, &[Node])> {
    LISTS.into_iter().filter_map(|keys| {
        let entry = at(root, keys)?;
        match &entry.value.data {
            Data::List(items) => Some((keys, entry, items.as_slice())),
            Data::Scalar(_) | Data::Map(_) => None,
        }
    })
}

/// Single names, each with the key that says it.
pub(super) fn single(root: &Node) -> Vec<(String, &Node)> {
    let mut found = Vec::new();
    if let Some(entry) = at(root, &COORDINATOR) {
        found.push((COORDINATOR.join("."), &entry.value));
    }
    if let Some(Entry { value: Node { data: Data::List(items), .. }, .. }) = at(root, &STORAGE) {
        for (i, item) in items.iter().enumerate() {
            if let Some(entry) = item.as_map().and_then(|map| map.get(STORAGE_HOST)) {
                found.push((format!("{}.{i}.{STORAGE_HOST}", STORAGE.join(".")), &entry.value));
            }
        }
    }
    found
}

/// Whether a value is this name.
pub(super) fn is(node: &Node, name: &str) -> bool {
    matches!(&node.data, Data::Scalar(scalar) if scalar.text == name)
}

fn at<'a>(root: &'a Node, keys: &[&str]) -> Option<&'a Entry> {
    let (key, rest) = keys.split_first()?;
    let entry = root.as_map()?.get(key)?;
    if rest.is_empty() { Some(entry) } else { at(&entry.value, rest) }
}

/// Takes a name out of all lists of a tree.
pub(super) fn drop_from_lists(root: &mut Value, name: &str) {
    for keys in LISTS {
        if let Some(Value::Sequence(items)) = at_mut(root, keys) {
            items.retain(|item| !is_value(item, name));
        }
    }
}

/// Puts another name in all places of a tree.
pub(super) fn replace(root: &mut Value, from: &str, to: &str) {
    for keys in LISTS {
        if let Some(Value::Sequence(items)) = at_mut(root, keys) {
            for item in items {
                replace_one(item, from, to);
            }
        }
    }
    if let Some(value) = at_mut(root, &COORDINATOR) {
        replace_one(value, from, to);
    }
    if let Some(Value::Sequence(items)) = at_mut(root, &STORAGE) {
        for host in items.iter_mut().filter_map(|item| item.get_mut(STORAGE_HOST)) {
            replace_one(host, from, to);
        }
    }
}

pub(super) fn at_mut<'a>(root: &'a mut Value, keys: &[&str]) -> Option<&'a mut Value> {
    keys.iter().try_fold(root, |value, key| value.get_mut(*key))
}

fn replace_one(value: &mut Value, from: &str, to: &str) {
    if is_value(value, from) {
        *value = to.into();
    }
}

/// A name that is all digits is a number to YAML.
fn is_value(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text == name,
        Value::Number(number) => number.to_string() == name,
        _ => false,
    }
}
