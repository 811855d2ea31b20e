use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{exit::Exit, failure::Failure};

/// The folder of this user's SSH files, and the rules that ssh has for them.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) dir: PathBuf,
}

/// A file or folder that more may be done with than ssh allows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Loose {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    pub(super) wanted: u32,
}

impl Home {
    pub(super) fn of_user() -> Result<Self, Failure> {
        env::var_os("HOME")
            .filter(|home| !home.is_empty())
            .map(|home| Self { dir: PathBuf::from(home).join(".ssh") })
            .ok_or_else(|| Failure::new(Exit::Failed, "HOME is not set: whose SSH files are meant?"))
    }

    /// A path of the hosts file or the command line, with `~` resolved.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.dir.parent()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }

    /// What ssh would refuse: the folder that others can write to, private keys that others can read (runbook: `chmod 600`).
    pub(super) fn loose(&self, keys: &[PathBuf]) -> Vec<Loose> {
        let folder = loose(&self.dir, 0o022, 0o700);
        let config = loose(&self.dir.join("config"), 0o022, 0o600);
        folder.into_iter().chain(config).chain(keys.iter().filter_map(|key| loose(key, 0o077, 0o600))).collect()
    }
}

impl Loose {
    pub(super) fn tighten(&self) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(self.wanted))
    }

    /// What a person would type.
    pub(super) fn command(&self) -> String {
        format!("chmod {:o} {}", self.wanted, self.path.display())
    }
}

fn loose(path: &Path, forbidden: u32, wanted: u32) -> Option<Loose> {
    let mode = fs::metadata(path).ok()?.mode() & 0o777;
    (mode & forbidden != 0).then(|| Loose { path: path.to_owned(), mode, wanted })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_would_refuse_is_found_and_tightened() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home { dir: dir.path().join(".ssh") };
        let key = home.resolve("~/.ssh/id_cluster");
        fs::create_dir(&home.dir).unwrap();
        for (path, mode) in [(&home.dir, 0o777), (&key, 0o640)] {
            if !path.exists() {
                fs::write(path, "").unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let keys = [key.clone(), home.resolve("/nowhere")];
        let found = home.loose(&keys);
        let wanted: Vec<_> = found.iter().map(|loose| (loose.path.clone(), loose.wanted)).collect();
        assert_eq!(wanted, [(home.dir.clone(), 0o700), (key.clone(), 0o600)]);
        assert_eq!(found[1].command(), format!("chmod 600 {}", key.display()));
        for loose in found {
            loose.tighten().unwrap();
        }
        assert_eq!(home.loose(&keys), []);
    }
}
