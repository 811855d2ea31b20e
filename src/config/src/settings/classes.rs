//! `job_classes` of the settings file.

use std::{path::Path, sync::Arc};

use ringrift_job::{ClassName, Classes, Patch};

use super::{Setting, SettingsError, Source, key};
use crate::{Finding, yaml::Node};

/// What the file says of classes of jobs.
#[derive(Debug)]
pub(super) struct ClassPatches {
    /// The line of the whole.
    line: usize,
    classes: Vec<Written>,
}

#[derive(Debug)]
struct Written {
    name: ClassName,
    patch: Patch,
    line: usize,
}

impl ClassPatches {
    /// Reads the map of classes, or says all that is wrong with it, each with the line of the part that is to blame.
    pub(super) fn read(line: usize, node: &Node, path: &Path) -> Result<Self, Vec<SettingsError>> {
        let Some(classes) = node.as_map() else {
            let message = format!("expected classes by their names, found {}", node.describe());
            return Err(vec![problem(path, node.line, key::JOB_CLASSES, message)]);
        };
        let (mut written, mut problems) = (Vec::new(), Vec::new());
        for entry in classes.entries() {
            match entry.key.parse::<ClassName>() {
                Ok(name) => match read_class(&name, &entry.value, entry.line, path) {
                    Ok(read) => written.push(Written { name, patch: read, line: entry.line }),
                    Err(found) => problems.extend(found),
                },
                Err(error) => problems.push(problem(path, entry.line, key::JOB_CLASSES, error.to_string())),
            }
        }
        if problems.is_empty() { Ok(Self { line, classes: written }) } else { Err(problems) }
    }

    /// The built-in classes with what is written here.
    pub(super) fn make(&self, path: &Arc<Path>) -> Result<Setting<Classes>, SettingsError> {
        let patches = self.classes.iter().map(|class| (class.name.clone(), class.patch.clone()));
        let source = Source::File { path: path.clone(), line: self.line };
        Classes::new(patches).map(|value| Setting { value, source }).map_err(|(name, error)| {
            let line = self.classes.iter().find(|class| class.name == name).map_or(self.line, |class| class.line);
            problem(path, line, &format!("{}.{name}", key::JOB_CLASSES), error.to_string())
        })
    }
}

fn read_class(name: &ClassName, node: &Node, line: usize, path: &Path) -> Result<Patch, Vec<SettingsError>> {
    let key = format!("{}.{name}", key::JOB_CLASSES);
    let Some(fields) = node.as_map() else {
        return Err(vec![problem(path, line, &key, format!("expected a map, found {}", node.describe()))]);
    };
    // Each part by itself first: that is how its line is known.
    let mut problems = Vec::new();
    for field in fields.entries() {
        let alone = serde_yaml::Mapping::from_iter([(field.key.as_str().into(), field.value.to_value())]);
        if let Err(error) = serde_yaml::from_value::<Patch>(alone.into()) {
            problems.push(problem(path, field.line, &format!("{key}.{}", field.key), error.to_string()));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_yaml::from_value(node.to_value()).map_err(|error| vec![problem(path, line, &key, error.to_string())])
}

fn problem(path: &Path, line: usize, key: &str, message: String) -> SettingsError {
    SettingsError::File(Finding::error(path, Some(line), key, message))
}
