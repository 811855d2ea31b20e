use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{EditError, HostsDraft};

impl HostsDraft {
    /// Puts the new text in the file's place, whole or not at all, for the same owner; the old one is kept beside it as
    /// `FILE.before-MOMENT`, which is returned. Without a change nothing is written.
    ///
    /// # Errors
    ///
    /// If the file is not the one that was read any more, or cannot be replaced. It is then as it was.
    pub fn save(&mut self, moment: &str) -> Result<Option<PathBuf>, EditError> {
        if !self.is_changed() {
            return Ok(None);
        }
        // A link, such as one into a checkout, stays a link.
        let path = fs::canonicalize(&self.path).map_err(|error| io_error("find", &self.path, error))?;
        let file = File::open(&path).map_err(|error| io_error("read", &path, error))?;
        // Two who change it at once would each take back what the other did.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => EditError::Changed(self.path.clone()),
            error => io_error("lock", &path, error.into()),
        })?;
        let is_the_one_that_was_read = || {
            let text = fs::read(&path)?;
            let metadata = fs::metadata(&path)?;
            let opened = file.metadata()?;
            Ok((metadata.dev(), metadata.ino()) == (opened.dev(), opened.ino()) && text == self.before.as_bytes())
        };
        if !is_the_one_that_was_read().map_err(|error| io_error("read", &path, error))? {
            return Err(EditError::Changed(self.path.clone()));
        }
        let backup = self.keep(&path, moment)?;
        self.replace(&path, &file).map_err(|error| {
            // Nothing has changed, so there is nothing to keep.
            let _ = fs::remove_file(&backup);
            io_error("replace", &path, error)
        })?;
        self.before.clone_from(&self.text);
        Ok(Some(backup))
    }

    /// Copies the file as it is.
    fn keep(&self, path: &Path, moment: &str) -> Result<PathBuf, EditError> {
        let mut last = None;
        // Two changes may fall into one second.
        for more in [String::new()].into_iter().chain((2..100).map(|n| format!("-{n}"))) {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".before-{moment}{more}"));
            let backup = PathBuf::from(name);
            let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&backup);
            let written = created.and_then(|mut copy| {
                copy.write_all(self.before.as_bytes())?;
                copy.set_permissions(fs::metadata(path)?.permissions())?;
                copy.sync_all()
            });
            match written {
                Ok(()) => return Ok(backup),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = Some((backup, error)),
                Err(error) => return Err(io_error("write", &backup, error)),
            }
        }
        let (backup, error) = last.unwrap_or_else(|| (path.to_owned(), io::ErrorKind::AlreadyExists.into()));
        Err(io_error("write", &backup, error))
    }

    fn replace(&self, path: &Path, old: &File) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let fresh = folder.join(format!(".{name}.{}", std::process::id()));
        let written = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
            file.write_all(self.text.as_bytes())?;
            let (was, is) = (old.metadata()?, file.metadata()?);
            if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
                fchown(&file, Some(was.uid()), Some(was.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(was.permissions().mode() & 0o7777))?;
            file.sync_all()?;
            fs::rename(&fresh, path)
        };
        written().inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })?;
        File::open(folder)?.sync_all()
    }
}

fn io_error(doing: &'static str, path: &Path, error: io::Error) -> EditError {
    EditError::Io { doing, path: path.to_owned(), error }
}
