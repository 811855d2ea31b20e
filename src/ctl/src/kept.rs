use std::{
    env, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{exit::Exit, failure::Failure};

/// A small file of this user's that outlives the program. It is replaced as a whole: whoever reads it finds what was written
/// before or what was written last.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
}

impl Kept {
    /// The file of this name where programs keep what outlives them (XDG base directories).
    pub(crate) fn named(name: &str) -> Result<Self, Failure> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("XDG_STATE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".local/state")))
            .map(|dir| Self::at(dir.join("ringriftctl").join(name)))
            .ok_or_else(|| {
                Failure::new(
                    Exit::Failed,
                    "neither HOME nor XDG_STATE_HOME is set: what is done could not be remembered",
                )
            })
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if it is not there.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<Option<T>, Failure> {
        let failed =
            |error: &dyn std::error::Error| Failure::local(format!("cannot read {}", self.path.display()), error);
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| failed(&e)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    /// Replaces it. The sentence names the file.
    pub(crate) fn write(&self, content: &impl Serialize) -> Result<(), String> {
        self.put(content).map_err(|e| format!("cannot write {}: {e}", self.path.display()))
    }

    fn put(&self, content: &impl Serialize) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&serde_json::to_vec_pretty(content)?)?;
        // After a power failure the name must not lead to an empty file.
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Removes it, if it is there. The sentence names the file.
    pub(crate) fn remove(&self) -> Result<(), String> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}
