use std::collections::BTreeSet;

use ringrift_config::NodeId;
use serde::{Deserialize, Serialize};

use crate::{exit::Exit, failure::Failure, kept::Kept};

/// Which nodes a rolling restart has restarted, kept in a file so that it can be resumed.
#[derive(Debug)]
pub(super) struct Book {
    file: Kept,
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
        Self::at(Kept::named(&name)?, resume)
    }

    fn at(file: Kept, resume: bool) -> Result<Self, Failure> {
        if !resume {
            return Ok(Self { file, page: Page::default() });
        }
        match file.read()? {
            Some(page) => Ok(Self { file, page }),
            None => Err(Failure::new(Exit::Failed, "there is no rolling restart to be resumed")
                .advise(format!("Without --resume one begins; {} would have it.", file.path().display()))),
        }
    }

    pub(super) fn has(&self, node: &NodeId) -> bool {
        self.page.restarted.contains(node)
    }

    /// Notes that one is restarted and back.
    pub(super) fn done(&mut self, node: &NodeId) -> Result<(), String> {
        self.page.restarted.insert(node.clone());
        self.file.write(&self.page)
    }

    /// Of a walk that came to its end nothing is left.
    pub(super) fn close(self, whole: bool) -> Result<(), Failure> {
        let closed = if whole { self.file.remove() } else { self.file.write(&self.page) };
        closed.map_err(|why| Failure::new(Exit::Failed, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_that_stopped_is_resumed_and_one_that_ended_is_not() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state/restart-c1.json");
        let file = || Kept::at(path.clone());
        let (alpha, beta) = ("alpha".parse::<NodeId>()?, "beta".parse::<NodeId>()?);
        assert!(Book::at(file(), true).is_err());
        let mut book = Book::at(file(), false).map_err(|f| f.message)?;
        book.done(&alpha)?;
        book.close(false).map_err(|f| f.message)?;

        let resumed = Book::at(file(), true).map_err(|f| f.message)?;
        assert!(resumed.has(&alpha) && !resumed.has(&beta));
        let anew = Book::at(file(), false).map_err(|f| f.message)?;
        assert!(!anew.has(&alpha));
        resumed.close(true).map_err(|f| f.message)?;
        assert!(!path.exists());
        Ok(())
    }
}
