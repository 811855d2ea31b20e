use std::{borrow::Cow, ops::Range};

use serde_yaml::Value;

use super::scalar::{Resolved, Scalar};

/// A value, the line where it begins, counted from 1, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    /// Bytes of the text. Of a list or map that is written line by line only the beginning is right, and of a text in lines of its
    /// own (`|`) the end may be that of the line.
    pub(crate) span: Range<usize>,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// Keys and values in the order of the file; no key twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Map {
    entries: Vec<Entry>,
}

/// A key, its line and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    /// Bytes of the key in the text, quotes included.
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// For "expected …, found …".
    pub(crate) fn describe(&self) -> Cow<'static, str> {
        match &self.data {
            Data::Scalar(scalar) => scalar.describe(),
            Data::List(_) => "a list".into(),
            Data::Map(_) => "a map".into(),
        }
    }

    /// The same as `serde_yaml` has it, for values that nobody here understands, and to write them again.
    pub(crate) fn to_value(&self) -> Value {
        match &self.data {
            Data::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => Value::Null,
                Resolved::Bool(b) => b.into(),
                Resolved::Integer(n) => n.into(),
                Resolved::Unsigned(n) => n.into(),
                Resolved::Float(n) => n.into(),
                Resolved::Text(text) => text.into(),
            },
            Data::List(items) => Value::Sequence(items.iter().map(Self::to_value).collect()),
            Data::Map(map) => {
                Value::Mapping(map.entries.iter().map(|e| (e.key.as_str().into(), e.value.to_value())).collect())
            }
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            Data::Scalar(_) | Data::List(_) => None,
        }
    }
}

impl Map {
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}
