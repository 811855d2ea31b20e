use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use ringrift_job::Classes;

use super::{
    SettingsError,
    file::SettingsFile,
    key::Key,
    read::Expected,
    setting::{Setting, Source},
};

/// Everything that may say something about a setting, besides the flags. Gathers what is wrong instead of stopping at it.
pub(super) struct Sources<'a> {
    environment: &'a BTreeMap<String, String>,
    file: Option<SettingsFile>,
    pub(super) problems: Vec<SettingsError>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(environment: &'a BTreeMap<String, String>, file: Option<SettingsFile>) -> Self {
        Self { environment, file, problems: Vec::new() }
    }

    /// A variable's text. An empty variable is one that nobody set: that is how an `EnvironmentFile=` takes one back.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Variables whose name begins with `prefix`, and the rest of the name.
    pub(super) fn names_after(&self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let environment = self.environment;
        environment.keys().filter_map(move |name| Some((name.as_str(), name.strip_prefix(prefix)?)))
    }

    /// The first of flag, variables and file that says something. All are read: a text that nobody could understand is an
    /// error even where another one wins, for it would win some day.
    pub(super) fn pick<T>(
        &mut self,
        key: Key,
        flag: Option<T>,
        read: impl Fn(&str) -> Result<T, Expected>,
    ) -> Option<Setting<T>> {
        let mut found = flag.map(|value| Setting { value, source: Source::Flag(key.flag) });
        for &variable in key.variables {
            let Some(text) = self.variable(variable) else { continue };
            match read(text) {
                Ok(value) => found = found.or(Some(Setting { value, source: Source::Variable(variable) })),
                Err(Expected(expected)) => {
                    self.problems.push(SettingsError::Variable { variable, expected, found: text.to_owned() });
                }
            }
        }
        if let Some(file) = &self.file
            && let Some((text, source)) = file.get(key.name)
        {
            match read(text) {
                Ok(value) => found = found.or(Some(Setting { value, source })),
                Err(Expected(expected)) => self.problems.push(file.bad_value(key.name, &expected)),
            }
        }
        found
    }

    /// The built-in classes of jobs, with what the settings file says of them and adds.
    pub(super) fn classes(&mut self) -> Setting<Arc<Classes>> {
        match self.file.as_ref().and_then(SettingsFile::classes) {
            None => Setting::default_of(Arc::default()),
            Some(Ok(named)) => named.map(Arc::new),
            Some(Err(problem)) => {
                self.problems.push(problem);
                Setting::default_of(Arc::default())
            }
        }
    }

    /// As [`Self::pick`]; a path in the settings file is meant from the folder of that file.
    pub(super) fn pick_path(&mut self, key: Key, flag: Option<PathBuf>) -> Option<Setting<PathBuf>> {
        let mut picked = self.pick(key, flag, super::read::path)?;
        if let (Source::File { .. }, Some(file)) = (&picked.source, &self.file) {
            picked.value = file.resolve(picked.value);
        }
        Some(picked)
    }
}
