use std::{
    collections::BTreeSet,
    env, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::{exit::Exit, failure::Failure};

/// Which nodes a rolling restart has restarted, kept in a file so that it can be resumed.
#[derive(Debug)]
pub(super) struct Book {
    path: PathBuf,
    page: Page,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Page {
    restarted: BTreeSet<NodeId>,
}

impl Book {
    /// A new one, or the one of the walk that is resumed.
    pub(super) fn of(cluster_id: &str, resume: bool) -> Result<Self, Failure> {
        let name = format!("restart-{}.json", cluster_id.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
        Self::at(folder()?.join(name), resume)
    }

    fn at(path: PathBuf, resume: bool) -> Result<Self, Failure> {
        let page = match fs::read(&path) {
            _ if !resume => Page::default(),
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| Failure::local(format!("cannot read {}", path.display()), &e))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::new(Exit::Failed, "there is no rolling restart to be resumed")
                    .advise(format!("Without --resume one begins; {} would have it.", path.display())));
            }
            Err(error) => return Err(Failure::local(format!("cannot read {}", path.display()), &error)),
        };
        Ok(Self { path, page })
    }

    pub(super) fn has(&self, node: &NodeId) -> bool {
        self.page.restarted.contains(node)
    }

    /// Notes that one is restarted and back.
    pub(super) fn done(&mut self, node: &NodeId) -> Result<(), String> {
        self.page.restarted.insert(node.clone());
        write(&self.path, &self.page).map_err(|e| format!("cannot write {}: {e}", self.path.display()))
    }

    /// Of a walk that came to its end nothing is left.
    pub(super) fn close(self, whole: bool) -> Result<(), Failure> {
        if !whole {
            return write(&self.path, &self.page)
                .map_err(|e| Failure::local(format!("cannot write {}", self.path.display()), &e));
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::local(format!("cannot remove {}", self.path.display()), &error))
            }
            _ => Ok(()),
        }
    }
}

fn write(path: &Path, page: &Page) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(&serde_json::to_vec(page)?)?;
    file.persist(path)?;
    Ok(())
}

/// Where programs keep what outlives them (XDG base directories).
fn folder() -> Result<PathBuf, Failure> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))
        .map(|dir| dir.join("ringriftctl"))
        .ok_or_else(|| {
            Failure::new(Exit::Failed, "neither HOME nor XDG_STATE_HOME is set: a restart could not be resumed")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_stopped_is_resumed_and_one_that_ended_is_not() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state/restart-c1.json");
        let (alpha, beta) = ("alpha".parse::<NodeId>()?, "beta".parse::<NodeId>()?);
        assert!(Book::at(path.clone(), true).is_err());
        let mut book = Book::at(path.clone(), false).map_err(|f| f.message)?;
        book.done(&alpha)?;
        book.close(false).map_err(|f| f.message)?;

        let resumed = Book::at(path.clone(), true).map_err(|f| f.message)?;
        assert!(resumed.has(&alpha) && !resumed.has(&beta));
        let anew = Book::at(path.clone(), false).map_err(|f| f.message)?;
        assert!(!anew.has(&alpha));
        resumed.close(true).map_err(|f| f.message)?;
        assert!(!path.exists());
        Ok(())
    }
}
