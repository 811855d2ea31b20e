use std::{fs, path::Path, time::Duration};

use rusqlite::Connection;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;

fn folders(root: &Path) -> Folders {
    Folders { data: root.join("data"), logs: root.join("logs") }
}

fn look(root: &TempDir) -> Pipeline {
    Pipeline::look(folders(root.path()), None).0
}

/// A database of these statements.
fn database(path: &Path, sql: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn where_nothing_was_ever_done_everything_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let found = look(&root);
    assert_eq!(found.games, Found::Missing);
    assert_eq!(found.training, Found::Missing);
    assert_eq!(found.newest_match, Found::Missing);
    assert_eq!(found.newest_heartbeat, Found::Missing);
    assert!(found.open.is_some_and(|open| open.files > 0));
}

#[test]
fn games_are_counted_and_a_writer_is_noticed_by_its_log() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data/games/selfplay.db");
    database(&path, "CREATE TABLE games (game_id TEXT); INSERT INTO games VALUES ('a'), ('b');");
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1000))
        .unwrap();
    let first = Pipeline::look(folders(root.path()), None);
    assert_eq!(first.0.games, Found::Read(Games { written: 1000.0, count: Some(2) }));
    // A writer in WAL mode.
    let writer = Connection::open(&path).unwrap();
    writer.pragma_update(None, "journal_mode", "WAL").unwrap();
    writer.execute("INSERT INTO games VALUES ('c')", []).unwrap();
    let (second, _) = Pipeline::look(folders(root.path()), Some(&first));
    let Found::Read(games) = &second.games else { panic!("{:?}", second.games) };
    assert!(games.count == Some(3) && games.written > 1_600_000_000.0, "{games:?}");
}

#[test]
fn a_database_that_is_none_is_unreadable() {
    let root = tempfile::tempdir().unwrap();
    for (name, sql) in [
        ("games/selfplay.db", ""),
        ("unified_elo.db", ""),
        ("coordination/task_registry.db", "CREATE TABLE other (a);"),
    ] {
        let path = root.path().join("data").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if sql.is_empty() {
            fs::write(&path, "no database at all, but some text").unwrap();
        } else {
            database(&path, sql);
        }
    }
    let found = look(&root);
    assert!(matches!(&found.games, Found::Unreadable(why) if why.contains("selfplay.db")), "{:?}", found.games);
    assert!(matches!(found.newest_match, Found::Unreadable(_)), "{:?}", found.newest_match);
    let why = "no such table: tasks";
    assert!(
        matches!(&found.newest_heartbeat, Found::Unreadable(text) if text.contains(why)),
        "{:?}",
        found.newest_heartbeat
    );
}

#[test]
fn the_newest_moment_is_found_among_texts_and_numbers() {
    for (rows, expected) in [
        ("", None),
        ("('2026-03-01T09:00:00'), ('2026-03-01T08:00:00')", Some(1_772_355_600.0)),
        ("(1772355600.5), (12.0), (NULL)", Some(1_772_355_600.5)),
        ("(1772355700), ('2026-03-01T09:00:00.000000+00:00')", Some(1_772_355_700.0)),
        ("(1772355000), ('2026-03-01T09:00:00Z')", Some(1_772_355_600.0)),
    ] {
        let root = tempfile::tempdir().unwrap();
        let insert = if rows.is_empty() { String::new() } else { format!("INSERT INTO match_history VALUES {rows};") };
        // Without a type, as SQLite stores what it is given.
        database(&root.path().join("data/unified_elo.db"), &format!("CREATE TABLE match_history (timestamp);{insert}"));
        let tasks = format!("CREATE TABLE tasks (last_heartbeat);{}", insert.replace("match_history", "tasks"));
        database(&root.path().join("data/coordination/task_registry.db"), &tasks);
        let found = look(&root);
        assert_eq!(found.newest_match, Found::Read(expected), "{rows}");
        assert_eq!(found.newest_heartbeat, Found::Read(expected), "{rows}");
    }
    let root = tempfile::tempdir().unwrap();
    database(
        &root.path().join("data/unified_elo.db"),
        "CREATE TABLE match_history (timestamp); INSERT INTO match_history VALUES ('soon');",
    );
    assert!(
        matches!(&look(&root).newest_match, Found::Unreadable(why) if why.contains("\"soon\", which is no moment"))
    );
}

#[test]
fn the_newest_training_run_counts() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("logs/unified_training");
    let run = |name: &str, at: u64, report: Option<&str>| {
        let folder = runs.join(name);
        fs::create_dir_all(&folder).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(at);
        if let Some(report) = report {
            fs::write(folder.join("training_report.json"), report).unwrap();
            fs::File::options()
                .write(true)
                .open(folder.join("training_report.json"))
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        fs::File::open(&folder).unwrap().set_modified(time).unwrap();
    };
    run("run-1", 1000, Some("{\"success\": true}"));
    let success = |found: Pipeline| match found.training {
        Found::Read(training) => (training.run, training.written, training.success),
        other => panic!("{other:?}"),
    };
    assert_eq!(success(look(&root)), ("run-1".to_owned(), 1000.0, Found::Read(true)));
    run("run-2", 2000, Some("{\"success\": false}"));
    assert_eq!(success(look(&root)), ("run-2".to_owned(), 2000.0, Found::Read(false)));
    run("run-3", 3000, None);
    assert_eq!(success(look(&root)), ("run-3".to_owned(), 3000.0, Found::Missing));
    fs::write(runs.join("a-file"), "").unwrap();
    for broken in ["{", "{\"success\": \"yes\"}", "[]"] {
        run("run-4", 4000, Some(broken));
        assert!(matches!(success(look(&root)).2, Found::Unreadable(_)), "{broken}");
    }
}

#[tokio::test]
async fn looks_go_on_until_the_stop_and_follow_the_folders() {
    let root = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let place = folders(root.path());
    let sampler = PipelineSampler::start(move || place.clone(), Duration::from_millis(20), stop.clone());
    let until = async |wanted: fn(&Found<Games>) -> bool| {
        let seen = async {
            while !sampler.latest().is_some_and(|pipeline| wanted(&pipeline.games)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), seen).await.expect("a look");
    };
    until(|games| *games == Found::Missing).await;
    database(&root.path().join("data/games/selfplay.db"), "CREATE TABLE games (game_id TEXT);");
    until(|games| matches!(games, Found::Read(Games { count: Some(0), .. }))).await;
    stop.cancel();
    let ended = async {
        while std::sync::Arc::strong_count(&sampler.latest) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the task ends");
}
