use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};

use ringrift_gamedb::{Course, DbError, Outcome, Restoring, Wanted, backup, check, restore, verify};

use crate::{
    archiving::{NAMES, backed_up, node, restored},
    copying::{small, without_room},
    database::{folder, games, list},
    writer::Writer,
};

#[test]
fn a_restore_keeps_what_was_there_and_leaves_alone_what_is_in_use() {
    let node = node();
    let (_shelf, archive) = backed_up(node.path());
    for name in NAMES {
        fs::remove_file(node.path().join(name)).unwrap();
        games(&node.path().join(name), 7, 3);
    }
    let writer = Writer::start(&node.path().join(NAMES[1]), "idle");
    let rehearsed =
        restore(&archive, node.path(), Wanted::default(), Outcome::Rehearse, &mut Course::silent()).unwrap().1;
    assert_eq!(rehearsed[0].outcome, Restoring::Would { replaces: true });
    assert!(matches!(&rehearsed[1].outcome, Restoring::Refused { reason } if reason.contains("is in use by")));

    let done = restored(&archive, node.path(), None);
    for (one, games) in done.iter().zip([Some(60), None, Some(20)]) {
        let Some(games) = games else {
            assert!(
                matches!(&one.outcome, Restoring::Refused { reason } if reason.contains(&writer.pid().to_string()))
            );
            continue;
        };
        assert_eq!(check(&one.path, &mut Course::silent()).unwrap().games, Some(games));
        let Restoring::Restored { kept: Some(kept) } = &one.outcome else { panic!("{one:?}") };
        assert_eq!(check(kept, &mut Course::silent()).unwrap().games, Some(7));
    }
    writer.kill();
    assert_eq!(check(&node.path().join(NAMES[1]), &mut Course::silent()).unwrap().games, Some(7));
}

#[test]
fn a_restored_database_does_not_find_the_log_of_the_one_before() {
    let node = node();
    let (_shelf, archive) = backed_up(node.path());
    let path = node.path().join(NAMES[0]);
    let mut writer = Writer::start(&path, "WAL");
    writer.wrote();
    writer.kill();
    let before = check(&path, &mut Course::silent()).unwrap();
    assert!(before.wal_bytes > 0);
    let one = &restored(&archive, node.path(), Some("selfplay.db"))[0];
    let after = check(&path, &mut Course::silent()).unwrap();
    assert_eq!((after.is_sound(), after.games, after.wal_bytes), (true, Some(60), 0));
    let Restoring::Restored { kept: Some(kept) } = &one.outcome else { panic!("{one:?}") };
    assert_eq!(check(kept, &mut Course::silent()).unwrap().games, before.games);
}

#[test]
fn nothing_is_written_outside_the_root() {
    let node = node();
    let (_shelf, archive) = backed_up(node.path());
    let (root, outside) = (folder(), folder());
    fs::create_dir_all(root.path().join("data/selfplay")).unwrap();
    symlink(outside.path(), root.path().join("data/games")).unwrap();
    symlink(outside.path().join("new"), root.path().join("data/selfplay/run-1")).unwrap();
    let done = restored(&archive, root.path(), None);
    let refused =
        |at: usize| matches!(&done[at].outcome, Restoring::Refused { reason } if reason.contains("leads out of"));
    assert!(refused(0) && refused(2), "{done:?}");
    assert_eq!(done[1].outcome, Restoring::Restored { kept: None });
    assert_eq!(list(outside.path()), [""; 0]);
}

#[test]
fn a_database_is_named_by_the_end_of_its_path_if_that_is_enough() {
    let node = node();
    let (_shelf, archive) = backed_up(node.path());
    let other = folder();
    let try_name = |name| {
        restore(
            &archive,
            other.path(),
            Wanted { database: Some(name), node: None },
            Outcome::Rehearse,
            &mut Course::silent(),
        )
    };
    assert_eq!(try_name("run-1/games.db").unwrap().1.len(), 1);
    assert!(matches!(try_name("games.db"), Err(DbError::SeveralMembers { has, .. }) if has.contains(NAMES[1])));
    assert!(matches!(try_name("play.db"), Err(DbError::NoMember { has, .. }) if has.contains(NAMES[0])));
    assert_eq!(list(other.path()), [""; 0]);
}

#[test]
fn a_restore_that_loses_its_disk_space_leaves_what_was_there() {
    let node = folder();
    games(&node.path().join("data/games/a.db"), 200, 20);
    backup(node.path(), "a", &node.path().join("b.tar.zst"), &mut Course::silent()).unwrap();
    fs::remove_file(node.path().join("data/games/a.db")).unwrap();
    games(&node.path().join("data/games/a.db"), 3, 5);
    let bytes = fs::read(node.path().join("data/games/a.db")).unwrap();
    without_room("restoring::restore_where_there_is_no_room", node.path());
    assert_eq!(list(&node.path().join("data/games")), ["a.db"]);
    assert_eq!(fs::read(node.path().join("data/games/a.db")).unwrap(), bytes);
}

#[test]
#[ignore = "run by the test before it, without room"]
fn restore_where_there_is_no_room() {
    let node = small();
    let done = restore(&node.join("b.tar.zst"), &node, Wanted::default(), Outcome::Replace, &mut Course::silent());
    assert!(matches!(done, Err(DbError::DiskFull { .. })), "{done:?}");
}

#[test]
fn an_archive_that_is_not_ours_is_refused() {
    let (folder, root) = (folder(), folder());
    let path = folder.path().join("a.tar.zst");
    let pack = |members: &[(&str, &str)]| {
        let mut tar = tar::Builder::new(zstd::Encoder::new(File::create(&path).unwrap(), 1).unwrap().auto_finish());
        for (name, text) in members {
            let mut header = tar::Header::new_gnu();
            // By hand: the crate itself refuses names that lead elsewhere.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap();
    };
    let manifest = |name: &str| {
        let sha256 = ringrift_blob::Digest::of(b"x");
        format!(
            r#"{{"format":"ringrift-backup","version":1,"node":"a","finished_at":"","databases":[{{"name":"{name}",
            "size_bytes":1,"sha256":"{sha256}","games":null,"schema_version":null,"faults":[],"whole":true,"copied_at":""}}],
            "missing":[],"others":[]}}"#
        )
    };
    let good = "data/games/a.db";
    for (members, expected) in [
        (vec![(good, "x".to_owned())], "no manifest"),
        (vec![("manifest.json", manifest(good))], "data/games/a.db is missing"),
        (vec![(good, "y".to_owned()), ("manifest.json", manifest(good))], "has SHA-256"),
        (
            vec![(good, "x".to_owned()), ("data/games/b.db", "x".to_owned()), ("manifest.json", manifest(good))],
            "does not know",
        ),
        (
            vec![("../../evil.db", "x".to_owned()), ("manifest.json", manifest("../../evil.db"))],
            "no place of a game database",
        ),
        (
            vec![("/etc/evil.db", "x".to_owned()), ("manifest.json", manifest("/etc/evil.db"))],
            "no place of a game database",
        ),
        (vec![(good, "x".to_owned()), ("manifest.json", "{}".to_owned())], "makes no sense"),
        (vec![("manifest.json", manifest(good)), (good, "x".to_owned())], "after its manifest"),
    ] {
        let members: Vec<(&str, &str)> = members.iter().map(|(name, text)| (*name, text.as_str())).collect();
        pack(&members);
        for error in [
            verify(&path, &mut Course::silent()).unwrap_err(),
            restore(&path, root.path(), Wanted::default(), Outcome::Replace, &mut Course::silent()).unwrap_err(),
        ] {
            assert!(matches!(error, DbError::BadArchive { .. }) && error.to_string().contains(expected), "{error}");
        }
    }
    fs::write(&path, "no archive").unwrap();
    assert!(matches!(verify(&path, &mut Course::silent()), Err(DbError::BadArchive { .. })));
    assert_eq!(list(root.path()), [""; 0]);
}
