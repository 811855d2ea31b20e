use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use super::{
    super::{EditError, HostsDraft},
    id,
};

const FILE: &str = "hosts:\n  a: # one\n    role: mixed\n";

#[test]
fn the_new_file_takes_the_place_of_the_old_one_which_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("hosts.yaml"), folder.path().join("link.yaml"));
    fs::write(&path, FILE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("hosts.yaml", &link).unwrap();

    let mut draft = HostsDraft::load(&link).unwrap();
    let before = fs::metadata(&path).unwrap();
    assert_eq!(draft.save("20261128T120000Z").unwrap(), None);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()), "nothing was written");

    draft.set(&id("a"), "role", "selfplay").unwrap();
    let backup = draft.save("20261128T120000Z").unwrap().unwrap();
    assert_eq!(backup, folder.path().canonicalize().unwrap().join("hosts.yaml.before-20261128T120000Z"));
    assert_eq!(fs::read_to_string(&backup).unwrap(), FILE);
    assert_eq!(fs::read_to_string(&path).unwrap(), "hosts:\n  a: # one\n    role: selfplay\n");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    for file in [&path, &backup] {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o640, "{}", file.display());
    }
    // A second change in the same second has a backup of its own.
    draft.set(&id("a"), "role", "mixed").unwrap();
    let second = draft.save("20261128T120000Z").unwrap().unwrap();
    assert!(second != backup && fs::read_to_string(&path).unwrap() == FILE);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing else is left");
}

#[test]
fn what_somebody_else_wrote_meanwhile_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.yaml");
    fs::write(&path, FILE).unwrap();
    let (mut one, mut two) = (HostsDraft::load(&path).unwrap(), HostsDraft::load(&path).unwrap());
    one.set(&id("a"), "cpus", "8").unwrap();
    two.set(&id("a"), "memory_gb", "64").unwrap();
    one.save("1").unwrap();
    let written = fs::read_to_string(&path).unwrap();
    assert!(matches!(two.save("2"), Err(EditError::Changed(_))));
    assert_eq!(fs::read_to_string(&path).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the file and one backup");
}

#[test]
fn a_folder_that_cannot_be_written_to_leaves_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.yaml");
    fs::write(&path, FILE).unwrap();
    let mut draft = HostsDraft::load(&path).unwrap();
    draft.set(&id("a"), "cpus", "8").unwrap();
    // A backup under every name that could be tried: the same as a folder that is full, for root as well.
    fs::write(folder.path().join("hosts.yaml.before-1"), "").unwrap();
    for n in 2..100 {
        fs::write(folder.path().join(format!("hosts.yaml.before-1-{n}")), "").unwrap();
    }
    assert!(matches!(draft.save("1"), Err(EditError::Io { doing: "write", .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), FILE);
}
