//! Claims about settings.

mod classes;
mod errors;
mod flags;
mod order;
mod reload;
mod tokens;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::{Args as _, Command, FromArgMatches as _};
use tempfile::TempDir;

use super::{Flags, Resolved, Settings, SettingsError, resolve::Installed};

/// A machine called `host-1` with a settings file, an environment and a command line.
struct Machine {
    dir: TempDir,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
    host_name: &'static str,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, environment: BTreeMap::new(), arguments: Vec::new(), host_name: "host-1" }
    }

    /// Puts a file beside the settings file.
    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Writes the settings file that is read unless another is named.
    fn yaml(self, text: &str) -> Self {
        self.file("settings.yaml", text)
    }

    fn env(mut self, name: &str, text: impl AsRef<str>) -> Self {
        self.environment.insert(name.to_owned(), text.as_ref().to_owned());
        self
    }

    fn flag(mut self, name: &str, text: impl AsRef<str>) -> Self {
        self.arguments.extend([name.to_owned(), text.as_ref().to_owned()]);
        self
    }

    fn switch(mut self, name: &str) -> Self {
        self.arguments.push(name.to_owned());
        self
    }

    /// A token is there, so that every address may be served.
    fn with_token(self) -> Self {
        self.env("RINGRIFT_CLUSTER_AUTH_TOKEN", TOKEN)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn resolve(&self) -> Result<Resolved, SettingsError> {
        let command = Flags::augment_args(Command::new("test").no_binary_name(true));
        let matches = command.try_get_matches_from(&self.arguments).expect("a command line that makes sense");
        let flags = Flags::from_arg_matches(&matches).expect("the flags that were declared");
        let installed =
            Installed { settings: &self.path("settings.yaml"), hosts: &self.path("distributed_hosts.yaml") };
        Settings::resolve_on(&flags, &self.environment, &installed, self.host_name)
    }

    fn settings(&self) -> Settings {
        self.resolve().unwrap_or_else(|error| panic!("{error}")).settings
    }

    fn warnings(&self) -> Vec<String> {
        self.resolve().unwrap_or_else(|error| panic!("{error}")).warnings
    }

    /// The error, with the machine's folder left out.
    fn error(&self) -> String {
        let error = self.resolve().expect_err("this was to be refused").to_string();
        error.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const OTHER_TOKEN: &str = "fedcba9876543210fedcba9876543210";

/// A setting's effective value and source, as they are logged, with the machine's folder left out.
fn effective(machine: &Machine, name: &str) -> (String, String) {
    let folder = format!("{}/", machine.dir.path().display());
    let lines = machine.settings().effective();
    let (_, value, source) = lines.into_iter().find(|(key, _, _)| *key == name).expect(name);
    (value.replace(&folder, ""), source.to_string().replace(&folder, ""))
}

/// A path that is relative to nothing.
fn text(path: &Path) -> String {
    path.display().to_string()
}
