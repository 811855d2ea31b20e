use std::{
    env, fs,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// The longest path of a socket (unix(7)), less what `%C` and ssh's own temporary name add: 40 and 18 characters.
const LONGEST: usize = 107 - 1 - 40 - 18;

/// The folder of the sockets by which connections are shared: this user's alone, since whoever can open one of them is logged
/// in on the node. `None` where no such folder can be had: then every command makes its own connection.
pub(super) fn folder() -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let runtime =
        env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()).map(|dir| PathBuf::from(dir).join("ringriftctl"));
    let temporary = env::temp_dir().join(format!("ringriftctl-{user}"));
    runtime.into_iter().chain([temporary]).find(|dir| dir.as_os_str().len() <= LONGEST && is_private(dir, user))
}

fn is_private(dir: &Path, user: u32) -> bool {
    // One that exists is looked at like a new one.
    let _ = fs::DirBuilder::new().mode(0o700).create(dir);
    fs::symlink_metadata(dir)
        .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode().trailing_zeros() >= 6)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_can_enter_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let user = rustix::process::getuid().as_raw();
        let new = dir.path().join("new");
        assert!(is_private(&new, user));
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!is_private(&new, user + 1), "it is somebody else's");
        symlink(&new, dir.path().join("link")).unwrap();
        assert!(!is_private(&dir.path().join("link"), user));
        fs::set_permissions(&new, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(!is_private(&new, user));
        assert!(!is_private(&dir.path().join("no/parent"), user));
    }
}
