use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use ringrift_gamedb::{Check, Course, DbError, Kind, MOST_FINDINGS, Stop, check};
use rusqlite::Connection;

use crate::{
    database::{Deed, PAGE, add, children, crashed, damage, damage_page, folder, games, list, root},
    writer::Writer,
};

fn checked(path: &Path) -> Check {
    check(path, &mut Course::silent()).unwrap()
}

#[test]
fn a_whole_database_is_sound_and_left_exactly_as_it_was() {
    let folder = folder();
    let path = folder.path().join("a ?#%20ü.db");
    games(&path, 30, 10);
    let bytes = fs::read(&path).unwrap();
    let check = checked(&path);
    assert!(check.is_sound(), "{check:?}");
    assert_eq!((check.kind, check.games, check.schema_version.as_deref()), (Kind::Game, Some(30), Some("18")));
    assert_eq!((check.size_bytes, check.wal_bytes), (bytes.len() as u64, 0));
    assert_eq!(list(folder.path()), ["a ?#%20ü.db"], "nothing is left beside it");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn files_are_called_what_they_are() {
    let folder = folder();
    let file = |name: &str| folder.path().join(name);
    fs::write(file("empty.db"), "").unwrap();
    fs::write(file("text.db"), "not a database\n".repeat(400)).unwrap();
    Connection::open(file("elo.db")).unwrap().execute_batch("CREATE TABLE match_history (timestamp)").unwrap();
    games(&file("beheaded.db"), 5, 5);
    damage(&file("beheaded.db"), 0, &[0; 100]);
    games(&file("unlisted.db"), 5, 5);
    damage(&file("unlisted.db"), 100, &[0xff; 200]);
    for (name, kind, sound) in [
        ("empty.db", Kind::Empty, false),
        ("text.db", Kind::NotSqlite, false),
        ("elo.db", Kind::OtherSqlite, true),
        ("beheaded.db", Kind::NotSqlite, false),
        ("unlisted.db", Kind::Unreadable, false),
    ] {
        let check = checked(&file(name));
        assert_eq!((check.kind, check.is_sound()), (kind, sound), "{name}: {check:?}");
        assert_eq!(check.faults().is_empty(), sound, "{name}: {check:?}");
    }
    let mut silent = Course::silent();
    assert!(matches!(check(folder.path(), &mut silent), Err(DbError::NotAFile(_))));
    let error = check(&file("none.db"), &mut silent).unwrap_err().to_string();
    assert!(error.contains("none.db") && error.contains("No such file"), "{error}");
}

#[test]
fn what_is_wrong_with_the_contents_is_told() {
    let folder = folder();
    let path = folder.path().join("a.db");
    games(&path, 5, 5);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF; DELETE FROM games WHERE game_id = 'game-00002'; DROP TABLE game_choices;
             UPDATE schema_metadata SET value = '9'",
        )
        .unwrap();
    connection.close().unwrap();
    let check = checked(&path);
    assert!(check.is_whole() && !check.is_sound());
    assert_eq!((check.games, check.missing_tables.clone()), (Some(4), vec!["game_choices"]));
    assert_eq!(check.schema_version.as_deref(), Some("9"));
    assert_eq!(check.foreign_keys.found.len(), 2 + 1 + 5 + 1 + 1, "{check:?}");
    let faults = check.faults().join("; ");
    for expected in ["without the tables game_choices", "of games that is not there (and 9 others)", "is 9, not 18"] {
        assert!(faults.contains(expected), "{expected:?} is not in {faults:?}");
    }
}

#[test]
fn findings_are_bounded() {
    let folder = folder();
    let path = folder.path().join("a.db");
    games(&path, 100, 20);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM games").unwrap();
    connection.close().unwrap();
    let check = checked(&path);
    assert_eq!((check.foreign_keys.found.len(), check.foreign_keys.more), (MOST_FINDINGS, true));
}

#[test]
fn damage_is_found_wherever_it_is() {
    let folder = folder();
    let path = folder.path().join("a.db");
    games(&path, 60, 40);
    let whole = fs::read(&path).unwrap();
    let moves = root(&path, "game_moves");
    let leaf = children(&path, moves)[3];
    let index = root(&path, "idx_moves_turn");
    let damages: [(&str, Deed<'_>); 5] = [
        ("an inner page", Box::new(|| damage_page(&path, moves, &[0; PAGE]))),
        ("a leaf", Box::new(|| damage_page(&path, leaf, &[0xa5; PAGE]))),
        ("an index", Box::new(|| damage_page(&path, index, &[0; PAGE]))),
        ("half a page", Box::new(|| damage_page(&path, leaf, &[0; PAGE / 2]))),
        ("cut", Box::new(|| File::options().write(true).open(&path).unwrap().set_len(whole.len() as u64 / 2).unwrap())),
    ];
    for (what, make) in &damages {
        fs::write(&path, &whole).unwrap();
        make();
        let bytes = fs::read(&path).unwrap();
        let check = checked(&path);
        assert!(!check.is_whole() && !check.faults().is_empty(), "{what}: {check:?}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "{what}: it was changed");
    }
}

#[test]
fn a_log_that_a_crash_left_counts_and_stays() {
    let folder = folder();
    let path = crashed(&folder.path().join("a.db"), "WAL", |connection| add(connection, 999, 5));
    let check = checked(&path);
    assert_eq!((check.is_sound(), check.games, check.in_use_by.len()), (true, Some(21), 0), "{check:?}");
    assert!(check.wal_bytes > 0);
    assert_eq!(fs::metadata(folder.path().join("a.db-wal")).unwrap().len(), check.wal_bytes);
}

#[test]
fn a_log_that_is_damaged_in_its_middle_is_told_and_a_torn_end_is_not() {
    let folder = folder();
    let path = crashed(&folder.path().join("a.db"), "WAL", |connection| {
        for game in 500..520 {
            add(connection, game, 5);
        }
    });
    let log = folder.path().join("a.db-wal");
    let whole = fs::read(&log).unwrap();
    fs::write(&log, &whole[..whole.len() - 1000]).unwrap();
    let check = checked(&path);
    assert!(check.is_sound() && check.games >= Some(38), "{check:?}");

    fs::write(&log, &whole).unwrap();
    File::options().write(true).open(&log).unwrap().write_all_at(&[0x5a; 16], whole.len() as u64 / 2).unwrap();
    let check = checked(&path);
    assert!(check.games < Some(40) && check.integrity.found[0].contains("write-ahead log is damaged"), "{check:?}");
}

#[test]
fn a_transaction_that_was_interrupted_is_an_error_that_says_what_to_do() {
    let folder = folder();
    let path = crashed(&folder.path().join("a.db"), "DELETE", |connection| {
        connection.execute_batch("PRAGMA cache_size = 1; BEGIN").unwrap();
        for game in 500..600 {
            add(connection, game, 5);
        }
    });
    let error = check(&path, &mut Course::silent()).unwrap_err();
    assert!(matches!(error, DbError::HotJournal(_)), "{error}");
    assert!(error.to_string().contains("ringriftctl db repair"));
}

#[test]
fn a_check_makes_no_writer_wait_and_sees_one_moment() {
    for mode in ["WAL", "DELETE"] {
        let folder = folder();
        let path = folder.path().join("a.db");
        games(&path, 10, 5);
        let mut writer = Writer::start(&path, mode);
        let mut seen = 0;
        for _ in 0..5 {
            let before = writer.wrote();
            match check(&path, &mut Course::silent()) {
                Ok(check) => {
                    assert!(check.is_sound(), "{mode}: {check:?}");
                    assert!(check.games >= Some(10 + before), "{mode}: {check:?}");
                    assert_eq!(check.in_use_by.iter().map(|user| user.pid).collect::<Vec<_>>(), [writer.pid()]);
                    seen += 1;
                }
                // Without a log there is no moment to see while somebody writes without a pause.
                Err(error) => assert!(mode == "DELETE" && matches!(error, DbError::Changing(_)), "{mode}: {error}"),
            }
        }
        assert!(mode == "DELETE" || seen == 5);
        // It never gave up on a lock: then it would be gone.
        writer.wrote();
    }
}

#[test]
fn a_check_can_be_stopped() {
    let folder = folder();
    let path = folder.path().join("a.db");
    games(&path, 100, 40);
    let stop = Stop::default();
    let mut course = Course::new(stop.clone(), |_| stop.set());
    assert!(matches!(check(&path, &mut course), Err(DbError::Stopped(_))));
}
