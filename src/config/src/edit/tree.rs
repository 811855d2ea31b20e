//! What a file was to say after a change, as values.

use serde_yaml::{Mapping, Value};

use super::names::at_mut;

/// Puts a value where these keys lead to; maps on the way that are not there are made.
pub(super) fn put(root: &mut Value, keys: &[&str], value: Value) {
    let Some((key, rest)) = keys.split_first() else {
        *root = value;
        return;
    };
    if root.is_null() {
        *root = Value::Mapping(Mapping::new());
    }
    let Value::Mapping(map) = root else { return };
    if map.get(*key).is_none() {
        map.insert((*key).into(), Value::Null);
    }
    if let Some(inner) = map.get_mut(*key) {
        put(inner, rest, value);
    }
}

/// Renames a host; its place stays.
pub(super) fn rename(root: &mut Value, from: &str, to: &str) {
    let Some(Value::Mapping(hosts)) = root.get_mut("hosts") else { return };
    let renamed = std::mem::take(hosts).into_iter().map(|(key, value)| {
        let key = if key.as_str() == Some(from) { to.into() } else { key };
        (key, value)
    });
    *hosts = renamed.collect();
}

/// Puts a name at the end of a list, or takes it out.
pub(super) fn set_voter(root: &mut Value, key: &str, name: &str, votes: bool) {
    if votes && !matches!(at_mut(root, &[key]), Some(Value::Sequence(_))) {
        let made = at_mut(root, &[key]).is_some();
        if let Value::Mapping(map) = root {
            if made {
                map.insert(key.into(), Value::Sequence(Vec::new()));
            } else {
                // Before the hosts, where a reader looks for it.
                let at = map.keys().position(|key| key.as_str() == Some("hosts")).unwrap_or(map.len());
                let mut entries: Vec<(Value, Value)> = std::mem::take(map).into_iter().collect();
                entries.insert(at, (key.into(), Value::Sequence(Vec::new())));
                *map = entries.into_iter().collect();
            }
        }
    }
    if let Some(Value::Sequence(items)) = at_mut(root, &[key]) {
        if votes {
            items.push(name.into());
        } else {
            items.retain(|item| item.as_str() != Some(name));
        }
    }
}

/// Whether two trees say the same in the same order. A map or list without anything in it says no more than nothing.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((ka, a), (kb, b))| ka == kb && same(a, b))
        }
        (Value::Sequence(a), Value::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (a, b) if is_nothing(a) || is_nothing(b) => is_nothing(a) && is_nothing(b),
        // A number that is none is not equal to itself.
        (Value::Number(a), Value::Number(b)) => a.to_string() == b.to_string(),
        (a, b) => a == b,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Mapping(map) => map.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        _ => false,
    }
}
