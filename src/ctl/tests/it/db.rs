//! Game databases of this machine. What is done to them is tested where it is done; here is what is said about it.

use std::{fs, path::Path, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{
    ctl::{Ran, command, folder, in_time, ran},
    database::{self, PAGE, children, damage_page, root},
};

/// A node with a whole and a damaged database, one that is empty, and one of something else.
fn node() -> TempDir {
    let node = folder();
    let games = node.path().join("data/games");
    database::games(&games.join("whole.db"), 3, 5);
    database::games(&games.join("damaged.db"), 60, 40);
    let leaf = children(&games.join("damaged.db"), root(&games.join("damaged.db"), "game_moves"))[1];
    damage_page(&games.join("damaged.db"), leaf, &[0; PAGE]);
    fs::write(games.join("empty.db"), "").unwrap();
    rusqlite::Connection::open(games.join("elo.db")).unwrap().execute_batch("CREATE TABLE match_history (a)").unwrap();
    node
}

async fn db(node: &Path, args: &[&str]) -> Ran {
    let mut command = command();
    command.current_dir(node).env("RINGRIFT_NODE_ID", "gpu-3").arg("db").args(args);
    let ran = ran(&mut command, node.canonicalize().unwrap().to_str().unwrap()).await;
    let steady = |text: &str| steady(text).replace("API/", "DIR/");
    Ran { out: steady(&ran.out), err: steady(&ran.err), ..ran }
}

/// Text without what may be another one each time: moments, digests, how small a manifest with these becomes.
fn steady(text: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_inclusive([' ', '\n']) {
        let bare = word.trim_end();
        let plain = bare.trim_end_matches(['.', ',']);
        let is_digest = plain.len() == 12 && plain.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_moment = plain.len() == 20 && plain.starts_with("20") && plain.ends_with('Z');
        if plain.trim_end_matches(';') == "kB" && words.iter().rev().take(5).any(|word| word.contains("gpu-3")) {
            words.pop();
            words.push("SIZE ".to_owned());
        }
        words.push(match plain.find("-20").filter(|at| plain[*at + 3..].ends_with('Z')) {
            _ if is_digest => word.replacen(plain, "DIGEST", 1),
            _ if is_moment => word.replacen(plain, "MOMENT", 1),
            Some(at) => word.replacen(&plain[at + 1..], "MOMENT", 1),
            None => word.to_owned(),
        });
    }
    words.concat()
}

#[tokio::test]
async fn a_check_tells_what_each_file_is_and_what_is_wrong() {
    let node = node();
    let told = db(node.path(), &["check"]).await;
    assert_eq!(told.code, Some(1));
    insta::assert_snapshot!("db_check", told.told());
    let json = db(node.path(), &["check", "--json"]).await.json();
    assert_eq!(json["success"], false);
    let kinds: Vec<&str> =
        json["databases"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["game", "other_sqlite", "empty", "game"]);
    assert_eq!((&json["databases"][3]["ok"], &json["databases"][3]["games"]), (&true.into(), &3.into()));

    let told = db(node.path(), &["check", "data/games/whole.db", "data/games/elo.db"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = db(node.path(), &["check", "--db", "data/games/damaged.db"]).await;
    assert!(told.code == Some(1) && told.out.contains("To rebuild it: ringriftctl db repair data/games/damaged.db"));
    assert!(told.out.lines().filter(|line| line.starts_with("  ")).count() > 1, "all findings of one file: {told:?}");
    insta::assert_snapshot!("db_check_none", db(node.path(), &["check", "data"]).await.told());
    insta::assert_snapshot!("db_check_missing", db(node.path(), &["check", "--db", "none.db"]).await.told());
}

#[tokio::test]
async fn a_check_that_is_interrupted_tells_what_it_has_done() {
    let node = node();
    // Far more than are checked before a signal arrives.
    let many = vec!["data/games/whole.db"; 4000];
    let mut child = command()
        .current_dir(node.path())
        .args(["db", "check"])
        .args(many)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(in_time(lines.next_line()).await.unwrap().unwrap(), "checking data/games/whole.db");
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = in_time(child.wait_with_output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(" of 4000 files were not checked."), "{text}");
}

#[tokio::test]
async fn a_repair_is_rehearsed_and_done() {
    let node = node();
    let damaged = node.path().join("data/games/damaged.db");
    let bytes = fs::read(&damaged).unwrap();
    insta::assert_snapshot!(
        "db_repair_dry",
        db(node.path(), &["repair", "data/games/damaged.db", "--dry-run"]).await.told()
    );
    assert_eq!(fs::read(&damaged).unwrap(), bytes);
    insta::assert_snapshot!("db_repair", db(node.path(), &["repair", "data/games/damaged.db"]).await.told());
    insta::assert_snapshot!("db_repair_none", db(node.path(), &["repair", "data/games/damaged.db"]).await.told());
    for (file, expected) in [("elo.db", "is left alone"), ("empty.db", "nothing of")] {
        let told = db(node.path(), &["repair", &format!("data/games/{file}"), "--json"]).await;
        assert!(told.code == Some(1) && told.json_error()["error"].as_str().unwrap().contains(expected), "{told:?}");
    }
}

#[tokio::test]
async fn a_backup_is_made_verified_and_restored() {
    let node = node();
    fs::remove_file(node.path().join("data/games/damaged.db")).unwrap();
    insta::assert_snapshot!("db_backup_dry", db(node.path(), &["backup", "-o", "b.tar.zst", "-n"]).await.told());
    assert!(!node.path().join("b.tar.zst").exists());
    insta::assert_snapshot!("db_backup", db(node.path(), &["backup", "-o", "b.tar.zst"]).await.told());
    insta::assert_snapshot!("db_backup_again", db(node.path(), &["backup", "-o", "b.tar.zst"]).await.told());
    insta::assert_snapshot!("db_verify", db(node.path(), &["verify", "b.tar.zst"]).await.told());
    fs::remove_file(node.path().join("data/games/whole.db")).unwrap();
    insta::assert_snapshot!("db_restore_dry", db(node.path(), &["restore", "b.tar.zst", "--dry-run"]).await.told());
    insta::assert_snapshot!("db_restore", db(node.path(), &["restore", "b.tar.zst", "--db", "whole.db"]).await.told());
    insta::assert_snapshot!("db_restore_same", db(node.path(), &["restore", "b.tar.zst"]).await.told());
    let told = db(node.path(), &["restore", "b.tar.zst", "--db", "other.db", "--json"]).await;
    assert!(told.json_error()["error"].as_str().unwrap().contains("it has: data/games/whole.db"), "{told:?}");
    assert_eq!(db(node.path(), &["check"]).await.code, Some(1), "the empty one is still there");

    let archive = fs::read(node.path().join("b.tar.zst")).unwrap();
    fs::write(node.path().join("b.tar.zst"), &archive[..archive.len() / 2]).unwrap();
    insta::assert_snapshot!("db_verify_cut", db(node.path(), &["verify", "b.tar.zst"]).await.told());
}

#[tokio::test]
async fn a_backup_with_a_damaged_database_is_made_and_ends_with_1() {
    let node = node();
    let told = db(node.path(), &["backup", "--output", "b.tar.zst", "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["success"], &json["manifest"]["node"]), (Some(1), &false.into(), &"gpu-3".into()));
    let whole: Vec<_> = json["manifest"]["databases"].as_array().unwrap().iter().map(|one| &one["whole"]).collect();
    assert_eq!(whole, [false, true]);
    let told = db(node.path(), &["verify", "b.tar.zst", "--json"]).await;
    assert_eq!((told.code, &told.json()["complete"]), (Some(0), &false.into()));
}

#[tokio::test]
async fn the_help_tells_what_is_promised() {
    let mut text = String::new();
    for name in ["check", "repair", "backup", "verify", "restore"] {
        let told = ran(command().args(["db", name, "--help"]), "").await;
        // The options of every command are in the help of others.
        text.push_str(told.out.split("\nGlobal options:").next().unwrap());
        text.push_str("\n----\n");
    }
    insta::assert_snapshot!("db_help", text);
    insta::assert_snapshot!("db_help_h", ran(command().args(["db", "-h"]), "").await.out);
}
