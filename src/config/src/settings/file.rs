use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{SettingsError, Source, key};
use crate::{
    Finding,
    nearest::did_you_mean,
    yaml::{self, Data, Node},
};

/// A parsed settings file: for every key its text, and its line.
#[derive(Debug)]
pub(super) struct SettingsFile {
    path: Arc<Path>,
    entries: BTreeMap<&'static str, (String, usize)>,
}

/// No settings file needs more; a wrong path may name anything.
const MAX_BYTES: u64 = 1 << 20;

impl SettingsFile {
    /// Reads a file that somebody named, or that lies where one is looked for.
    pub(super) fn load(path: &Path, named_by: &Source) -> Result<Self, SettingsError> {
        let unreadable = |error| SettingsError::Unreadable { path: path.to_owned(), named_by: named_by.clone(), error };
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
            let finding = Finding::error(path, None, "", "is larger than 1 MiB: this is no settings file");
            return Err(SettingsError::File(finding));
        }
        Self::parse(&fs::read_to_string(path).map_err(unreadable)?, path)
    }

    /// Every key must be a setting: an unknown one is a slip that would otherwise do nothing, unseen.
    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, SettingsError> {
        let fail = |line: Option<usize>, key: &str, message: String| {
            SettingsError::File(Finding::error(path, line, key, message))
        };
        let mut this = Self { path: path.into(), entries: BTreeMap::new() };
        let document = match yaml::parse(text) {
            Ok(Some(document)) => document,
            Ok(None) => return Ok(this),
            Err(faults) => {
                let problems = faults.into_iter().map(|f| fail(f.line, &f.key, f.message)).collect();
                return Err(SettingsError::of(problems).expect("a failed parse names at least one fault"));
            }
        };
        let Data::Map(map) = &document.data else {
            let message = format!("expected settings such as `http_port: 8770`, found {}", document.describe());
            return Err(fail(Some(document.line), "", message));
        };
        let mut problems = Vec::new();
        for entry in map.entries() {
            let Some(known) = key::ALL.into_iter().find(|key| key.name == entry.key) else {
                let names = key::ALL.map(|key| key.name);
                let mut hint = did_you_mean(&entry.key, names);
                if hint.is_empty() {
                    hint = format!("; settings are {}", names.join(", "));
                }
                problems.push(fail(Some(entry.line), &entry.key, format!("unknown setting{hint}")));
                continue;
            };
            match text_of(&entry.value) {
                Ok(Some(text)) => {
                    this.entries.insert(known.name, (text, entry.line));
                }
                Ok(None) => {}
                Err(message) => problems.push(fail(Some(entry.line), known.name, message)),
            }
        }
        match SettingsError::of(problems) {
            None => Ok(this),
            Some(error) => Err(error),
        }
    }

    /// What the file says of a setting.
    pub(super) fn get(&self, name: &str) -> Option<(&str, Source)> {
        let (text, line) = self.entries.get(name)?;
        Some((text, Source::File { path: self.path.clone(), line: *line }))
    }

    pub(super) fn bad_value(&self, name: &str, expected: &str) -> SettingsError {
        let (text, line) = self.entries.get(name).map_or(("", None), |(text, line)| (text.as_str(), Some(*line)));
        SettingsError::File(Finding::error(&self.path, line, name, format!("expected {expected}, found {text:?}")))
    }

    /// A path that the file names is meant from where the file lies.
    pub(super) fn resolve(&self, path: PathBuf) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path,
        }
    }
}

/// A list is its items with commas between them, as in the environment. Null is as if the key were not there.
fn text_of(node: &Node) -> Result<Option<String>, String> {
    match &node.data {
        Data::Scalar(scalar) if scalar.is_null() => Ok(None),
        Data::Scalar(scalar) => Ok(Some(scalar.text.clone())),
        Data::List(items) => {
            let texts = items.iter().map(|item| match &item.data {
                Data::Scalar(scalar) if !scalar.is_null() => Ok(scalar.text.as_str()),
                _ => Err(format!("expected a list of texts, found {} in it", item.describe())),
            });
            Ok(Some(texts.collect::<Result<Vec<_>, _>>()?.join(",")))
        }
        Data::Map(_) => Err(format!("expected a value, found {}", node.describe())),
    }
}
