use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

use ringrift_gamedb::{Course, DbError, Stop, copy};
use rusqlite::Connection;

use crate::{
    database::{PAGE, children, crashed, damage_page, folder, games, list, root, rows},
    writer::Writer,
};

#[test]
fn a_copy_has_all_rows_and_its_digest() {
    let folder = folder();
    for (name, count) in [("one", 1), ("some", 50), ("more", 400)] {
        let (from, to) = (folder.path().join(name), folder.path().join(format!("{name}.copy")));
        games(&from, count, 20);
        let copied = copy(&from, &to, &mut Course::silent()).unwrap();
        assert_eq!(copied.check.games, Some(u64::from(count)));
        assert_eq!(rows(&to), rows(&from));
        let bytes = fs::read(&to).unwrap();
        assert_eq!((copied.size_bytes, copied.sha256), (bytes.len() as u64, ringrift_blob::Digest::of(&bytes)));
    }
}

#[test]
fn a_copy_of_a_database_that_is_written_to_is_one_moment_of_it() {
    let folder = folder();
    let from = folder.path().join("a.db");
    games(&from, 200, 20);
    let mut writer = Writer::start(&from, "WAL");
    for round in 0..4 {
        let before = writer.wrote();
        let to = folder.path().join(format!("copy-{round}.db"));
        let copied = copy(&from, &to, &mut Course::silent()).unwrap();
        assert!(copied.check.is_sound() && copied.check.games >= Some(200 + before), "{copied:?}");
        let copy = Connection::open(&to).unwrap();
        let torn = "SELECT count(*) FROM games g WHERE (SELECT count(*) FROM game_moves m WHERE m.game_id = g.game_id) \
                    <> g.total_moves";
        assert_eq!(copy.query_row(torn, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }
    writer.wrote();
}

#[test]
fn a_log_that_a_crash_left_is_in_the_copy() {
    let folder = folder();
    let from = folder.path().join("a.db");
    games(&from, 10, 5);
    let mut writer = Writer::start(&from, "WAL");
    let wrote = writer.wrote();
    writer.kill();
    let copied = copy(&from, &folder.path().join("b.db"), &mut Course::silent()).unwrap();
    assert!(copied.check.games >= Some(10 + wrote), "{copied:?}");

    let crashed = crashed(&folder.path().join("c.db"), "WAL", |connection| {
        connection.execute_batch("DELETE FROM game_choices; DELETE FROM games WHERE game_id > 'game-00010'").unwrap();
    });
    let copied = copy(&crashed, &folder.path().join("d.db"), &mut Course::silent()).unwrap();
    assert_eq!(copied.check.games, Some(11));
}

#[test]
fn a_damaged_database_is_not_copied_and_nothing_is_overwritten() {
    let folder = folder();
    let (from, to) = (folder.path().join("a.db"), folder.path().join("b.db"));
    games(&from, 60, 40);
    fs::write(&to, "mine").unwrap();
    assert!(matches!(copy(&from, &to, &mut Course::silent()), Err(DbError::Exists(_))));
    assert_eq!(fs::read(&to).unwrap(), b"mine");
    fs::remove_file(&to).unwrap();

    let leaf = children(&from, root(&from, "game_moves"))[1];
    damage_page(&from, leaf, &[0; PAGE]);
    let error = copy(&from, &to, &mut Course::silent()).unwrap_err();
    assert!(matches!(error, DbError::BadCopy { .. }) && error.to_string().contains("a.db"), "{error}");
    assert_eq!(list(folder.path()), ["a.db"]);
}

#[test]
fn a_copy_that_is_stopped_leaves_nothing() {
    let folder = folder();
    let from = folder.path().join("a.db");
    games(&from, 300, 40);
    let stop = Stop::default();
    let mut course = Course::new(stop.clone(), |progress| {
        if progress.doing == "copying" {
            stop.set();
        }
    });
    let stopped = copy(&from, &folder.path().join("b.db"), &mut course);
    assert!(matches!(stopped, Err(DbError::Stopped(_))), "{stopped:?}");
    assert_eq!(list(folder.path()), ["a.db"]);
}

const SMALL: &str = "GAMEDB_TEST_SMALL";

/// Runs `test` of this program where no file may become larger than a few hundred kilobytes.
pub(crate) fn without_room(test: &str, folder: &Path) {
    // In dash and in bash blocks of 512 and 1024 bytes: 200 or 400 kB.
    let script = "trap '' XFSZ; ulimit -f 400; exec \"$0\" --ignored --exact \"$1\" --nocapture";
    let mut command = Command::new("sh");
    let output = command
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(SMALL, folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(crate) fn small() -> std::path::PathBuf {
    std::env::var(SMALL).unwrap().into()
}

#[test]
fn a_copy_that_loses_its_disk_space_leaves_nothing_and_the_original_untouched() {
    let folder = folder();
    let from = folder.path().join("a.db");
    games(&from, 200, 20);
    let bytes = fs::read(&from).unwrap();
    assert!(bytes.len() > 1_000_000, "too small to fail");
    without_room("copying::copy_where_there_is_no_room", folder.path());
    assert_eq!(list(folder.path()), ["a.db"]);
    assert_eq!(fs::read(&from).unwrap(), bytes);
}

#[test]
#[ignore = "run by the test before it, without room"]
fn copy_where_there_is_no_room() {
    let folder = small();
    let error = copy(&folder.join("a.db"), &folder.join("b.db"), &mut Course::silent()).unwrap_err();
    assert!(matches!(&error, DbError::DiskFull { path, .. } if *path == folder), "{error}");
    assert!(File::open(folder.join("b.db")).is_err());
}
