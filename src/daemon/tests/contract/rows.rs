//! Are the keys of an answer there, and of what type?

use serde_json::Value;

/// Adds a problem for each of the rows that the answer does not have. A row is `key: type`, rows have commas between them; a type is
/// one of `str int number bool list map`, with `?` if null is allowed.
pub(crate) fn check(place: &str, value: &Value, rows: &str, problems: &mut Vec<String>) {
    for row in rows.split(',') {
        let (key, kind) = row.trim().split_once(": ").unwrap();
        let found = &value[key];
        let right = match kind.trim_end_matches('?') {
            _ if found.is_null() => kind.ends_with('?') && value.get(key).is_some(),
            "str" => found.is_string(),
            "int" => found.is_i64() || found.is_u64(),
            "number" => found.is_number(),
            "bool" => found.is_boolean(),
            "list" => found.is_array(),
            "map" => found.is_object(),
            other => panic!("unknown type {other}"),
        };
        if !right {
            problems.push(format!("{place}.{key}: expected {kind}, found {found}"));
        }
    }
}
