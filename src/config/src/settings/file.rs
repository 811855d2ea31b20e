use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ringrift_job::Classes;

use super::{Setting, SettingsError, Source, classes::ClassPatches, key};
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
    classes: Option<ClassPatches>,
}

/// Settings that have several values.
const LISTS: [&str; 2] = [key::VOTERS.name, key::BOOTSTRAP_SEEDS.name];

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
        let mut this = Self { path: path.into(), entries: BTreeMap::new(), classes: None };
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
            if entry.key == key::JOB_CLASSES {
                match ClassPatches::read(entry.line, &entry.value, &this.path) {
                    Ok(classes) => this.classes = Some(classes),
                    Err(found) => problems.extend(found),
                }
                continue;
            }
            // `compat: {open_reads: true}` is the setting `compat.open_reads`.
            let group = format!("{}.", entry.key);
            if let Data::Map(inner) = &entry.value.data
                && key::ALL.iter().any(|key| key.name.starts_with(&group))
            {
                for setting in inner.entries() {
                    let name = format!("{group}{}", setting.key);
                    problems.extend(this.take(&name, &setting.value, setting.line));
                }
            } else {
                problems.extend(this.take(&entry.key, &entry.value, entry.line));
            }
        }
        match SettingsError::of(problems) {
            None => Ok(this),
            Some(error) => Err(error),
        }
    }

    /// Keeps the text of one setting, or returns what is wrong with it.
    fn take(&mut self, name: &str, value: &Node, line: usize) -> Option<SettingsError> {
        let fail = |key: &str, message: String| {
            Some(SettingsError::File(Finding::error(&self.path, Some(line), key, message)))
        };
        let Some(known) = key::ALL.into_iter().find(|key| key.name == name) else {
            let names = key::ALL.map(|key| key.name);
            let mut hint = did_you_mean(name, names);
            if hint.is_empty() {
                hint = format!("; settings are {}", names.join(", "));
            }
            return fail(name, format!("unknown setting{hint}"));
        };
        match text_of(value, LISTS.contains(&known.name)) {
            Ok(Some(text)) => {
                self.entries.insert(known.name, (text, line));
                None
            }
            Ok(None) => None,
            Err(message) => fail(known.name, message),
        }
    }

    /// What the file says of a setting.
    pub(super) fn get(&self, name: &str) -> Option<(&str, Source)> {
        let (text, line) = self.entries.get(name)?;
        Some((text, Source::File { path: self.path.clone(), line: *line }))
    }

    /// The classes of jobs that it makes, if it says anything of them.
    pub(super) fn classes(&self) -> Option<Result<Setting<Classes>, SettingsError>> {
        self.classes.as_ref().map(|classes| classes.make(&self.path))
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

/// A list, where there may be one, is its items with commas between them, as in the environment. Null is as if the key were
/// not there.
fn text_of(node: &Node, may_be_list: bool) -> Result<Option<String>, String> {
    match &node.data {
        Data::Scalar(scalar) if scalar.is_null() => Ok(None),
        Data::Scalar(scalar) => Ok(Some(scalar.text.clone())),
        Data::List(items) if may_be_list => {
            let texts = items.iter().map(|item| match &item.data {
                Data::Scalar(scalar) if !scalar.is_null() => Ok(scalar.text.as_str()),
                _ => Err(format!("expected a list of texts, found {} in it", item.describe())),
            });
            Ok(Some(texts.collect::<Result<Vec<_>, _>>()?.join(",")))
        }
        Data::List(_) | Data::Map(_) => Err(format!("expected a value, found {}", node.describe())),
    }
}

/// A settings file of any text, for [`crate::fuzz`].
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz(text: &str) {
    match SettingsFile::parse(text, Path::new("settings.yaml")) {
        Ok(file) => {
            for key in key::ALL {
                assert_eq!(file.get(key.name).is_some(), file.entries.contains_key(key.name));
            }
            if let Some(Err(error)) = file.classes() {
                let _ = error.to_string();
            }
        }
        Err(error) => {
            assert!(error.to_string().starts_with("settings.yaml"), "a fault is named with its file: {error}");
        }
    }
}
