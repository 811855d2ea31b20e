//! The databases of other nodes: each is a folder here, reached by the `ssh` that stays on this machine, with the program
//! itself in its path.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::{Place, nobody};
use crate::{
    ctl::{Ran, in_time},
    database::{self, PAGE, damage_page, root},
};

const HOSTS: &str = "\
hosts:
  gpu-1: {ssh_host: node-a, status: ready, role: mixed, ringrift_path: ~/ai service}
  gpu-2: {ssh_host: node-b, status: ready, role: mixed, ringrift_path: ~/ai}
  hub: {ssh_host: node-c, status: ready, role: coordinator, ringrift_path: ~/ai}
  old: {ssh_host: refused, status: retired, role: mixed, ringrift_path: ~/ai}
";

const SELFPLAY: &str = "data/games/selfplay.db";

/// Two nodes with databases, one without, and one that is retired.
fn place(more: &str) -> Place {
    let place = Place::new(&format!("{HOSTS}{more}"));
    fs::create_dir(place.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ringriftctl"), place.path("bin/ringriftctl")).unwrap();
    database::games(&at(&place, "node-a/ai service", SELFPLAY), 3, 5);
    database::games(&at(&place, "node-a/ai service", "data/selfplay/run-1/games.db"), 2, 5);
    database::games(&at(&place, "node-b/ai", SELFPLAY), 4, 5);
    let elo = rusqlite::Connection::open(at(&place, "node-b/ai", "data/games/elo.db")).unwrap();
    elo.execute_batch("CREATE TABLE match_history (a)").unwrap();
    fs::create_dir_all(place.path("node-c/ai")).unwrap();
    place
}

fn at(place: &Place, node: &str, name: &str) -> PathBuf {
    place.path(node).join(name)
}

async fn db(place: &Place, args: &[&str]) -> Ran {
    place.run(&nobody(), &[&["db"], args].concat()).await
}

/// The same from a folder of its own, as a shell would have it.
fn in_folder(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(&nobody(), &[&["db"], args].concat());
    command.current_dir(place.path(""));
    command
}

#[tokio::test]
async fn each_node_checks_its_own_databases() {
    let place = place(concat!(
        "  bare: {ssh_host: here, status: ready, role: mixed, ringrift_path: ~/}\n",
        "  lost: {ssh_host: node-d, status: ready, role: mixed, ringrift_path: ~/nowhere}\n",
        "  down: {ssh_host: refused, status: ready, role: mixed, ringrift_path: ~/ai}\n",
        "  voter: {ssh_host: node-e, status: ready, role: coordinator}\n",
    ));
    let told = db(&place, &["check", "--all-nodes", "--json"]).await;
    let json = told.json();
    let of = |json: &serde_json::Value, node: &str| {
        json["nodes"].as_array().unwrap().iter().find(|one| one["node_id"] == node).unwrap().clone()
    };
    let states =
        ["gpu-1", "gpu-2", "hub", "old", "bare", "lost", "down", "voter"].map(|node| of(&json, node)["state"].clone());
    assert_eq!(
        states,
        ["checked", "checked", "checked", "skipped", "not_installed", "no_folder", "unreachable", "skipped"]
    );
    assert_eq!((told.code, &json["success"]), (Some(1), &false.into()));
    assert_eq!(of(&json, "gpu-1")["databases"][0]["games"], 3);
    assert_eq!(of(&json, "hub")["databases"], serde_json::json!([]));

    let told = db(&place, &["check", "--node", "gpu-*", "hub"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for expected in ["gpu-1  data/games/selfplay.db", "gpu-2  data/games/elo.db", "hub: no game database"] {
        assert!(told.out.contains(expected), "{expected}: {}", told.out);
    }
    assert!(told.err.contains("/3 gpu-1: 2 databases, all right ("), "{}", told.err);
    // All that is wrong is that one was not reached.
    assert_eq!(db(&place, &["check", "--node", "gpu-1", "down"]).await.code, Some(3));

    let damaged = at(&place, "node-b/ai", SELFPLAY);
    damage_page(&damaged, root(&damaged, "games"), &[0; PAGE]);
    let told = db(&place, &["check", "--node", "gpu-*", "--db", SELFPLAY]).await;
    assert_eq!(told.code, Some(1));
    assert!(told.out.contains("WRONG") && told.err.contains("gpu-2: 1 database, 1 not right"), "{told:?}");
    assert_eq!(db(&place, &["check", "--all-nodes", "somewhere"]).await.code, Some(2));
}

#[tokio::test]
async fn a_backup_of_all_nodes_is_complete_or_says_who_is_missing() {
    let place = place("  down: {ssh_host: refused, status: ready, role: mixed, ringrift_path: ~/ai}\n");
    let out = place.path("all.tar.zst").display().to_string();
    let told = db(&place, &["backup", "--output", &out, "--node", "gpu-*", "hub", "old", "--dry-run"]).await;
    assert!(told.code == Some(0) && told.out.contains("hub") == told.out.contains("hub:"), "{told:?}");
    assert!(told.out.contains("gpu-2  data/games/elo.db") && told.out.contains("leave"), "{}", told.out);
    assert!(!place.path("all.tar.zst").exists() && !place.path("all.tar.zst.partial").exists());

    let told = db(&place, &["backup", "--output", &out, "--node", "gpu-*", "hub", "old"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("Backed up 3 databases of 4 nodes to DIR/all.tar.zst"), "{}", told.out);
    assert!(told.out.contains("Skipped: old: status: retired"), "{}", told.out);
    let told = db(&place, &["verify", &out, "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["complete"], &json["manifest"]["version"]), (Some(0), &true.into(), &2.into()));
    let members: Vec<&str> =
        json["manifest"]["databases"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    for member in ["gpu-1/data/games/selfplay.db", "gpu-1/data/selfplay/run-1/games.db", "gpu-2/data/games/selfplay.db"]
    {
        assert!(members.contains(&member), "{members:?}");
    }
    assert_eq!(db(&place, &["backup", "--output", &out, "--all-nodes"]).await.code, Some(1), "it is there already");

    // It goes back to its place.
    let there = at(&place, "node-a/ai service", SELFPLAY);
    fs::remove_file(&there).unwrap();
    let root = place.path("node-a/ai service").display().to_string();
    let told = db(&place, &["restore", &out, "--root", &root]).await;
    assert!(told.code == Some(1) && told.err.contains("gpu-1, gpu-2: say which node's with --node"), "{told:?}");
    let told = db(&place, &["restore", &out, "--root", &root, "--node", "gpu-1"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(games(&there), 3);

    // Who was not reached is named, in the output and in the archive.
    let out = place.path("again.tar.zst").display().to_string();
    let told = db(&place, &["backup", "--output", &out, "--all-nodes"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.out.contains("Missing: down: unreachable (connection refused)"), "{}", told.out);
    assert!(told.out.contains("The backup is not complete"), "{}", told.out);
    assert_eq!(db(&place, &["verify", &out, "--json"]).await.json()["complete"], false);
}

fn games(path: &std::path::Path) -> i64 {
    let database = rusqlite::Connection::open(path).unwrap();
    database.query_row("SELECT count(*) FROM games", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_backup_that_was_stopped_goes_on_and_keeps_nothing_of_what_was_cut() {
    let place = place("");
    let out = place.path("all.tar.zst").display().to_string();
    // It lists its databases, and then never says a word.
    fs::write(place.path("node-b.script"), "case $2 in *'send data'*) mark; exec sleep 600 ;; esac\n").unwrap();
    let mut child = in_folder(&place, &["backup", "--output", &out, "--node", "gpu-*", "--parallel", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = in_time(lines.next_line()).await.unwrap().unwrap();
    assert!(first.starts_with("1/2 gpu-1: 2 databases ("), "{first}");
    let asked = in_time(async {
        while place.asked().last().map(String::as_str) != Some("node-b") || place.asked().len() < 5 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    asked.await;
    kill_process(Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap(), Signal::INT).unwrap();
    let last = in_time(async {
        let mut text = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            text += &line;
        }
        text
    });
    let last = last.await;
    assert_eq!(in_time(child.wait()).await.unwrap().code(), Some(1), "{last}");
    assert!(last.contains("1 of 2 nodes were done") && last.contains("Repeat the command"), "{last}");
    assert!(place.path("all.tar.zst.partial").exists() && !place.path("all.tar.zst").exists());

    // Now it is cut off in the middle, each time.
    fs::write(
        place.path("node-b.script"),
        "case $2 in *'send data'*) HOME=$here/$1 PATH=$here/bin:$PATH sh -c \"$2\" | head -c 2000; exit 255 ;; esac\n",
    )
    .unwrap();
    let told = db(&place, &["backup", "--output", &out, "--node", "gpu-*", "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["resumed"]), (Some(3), &2.into()), "{told:?}");
    let parts = json["manifest"]["nodes"].as_array().unwrap();
    let reason = parts[1]["reason"].as_str().unwrap();
    assert!(parts[1]["state"] == "missing" && reason.contains("data/games/selfplay.db did not arrive"), "{parts:?}");
    assert_eq!(db(&place, &["verify", &out]).await.code, Some(0));
    fs::remove_file(&out).unwrap();
    fs::remove_file(place.path("node-b.script")).unwrap();
    let told = db(&place, &["backup", "--output", &out, "--node", "gpu-*", "--json"]).await;
    assert_eq!((told.code, &told.json()["manifest"]["databases"].as_array().unwrap().len()), (Some(0), &3), "{told:?}");
}

#[tokio::test]
async fn one_database_of_another_node_takes_its_place_here() {
    let place = place("  down: {ssh_host: refused, status: ready, role: mixed, ringrift_path: ~/ai}\n");
    let here = place.path("mine");
    let mine = here.join(SELFPLAY);
    database::games(&mine, 1, 1);
    let root = here.display().to_string();
    let from = |node: &'static str, more: &[&'static str]| {
        let words = [&["restore", "--from", node], more].concat();
        words.into_iter().chain(["--root", root.as_str()]).collect::<Vec<&str>>()
    };
    let told = db(&place, &from("gpu-1", &[])).await;
    assert!(told.code == Some(1) && told.err.contains("gpu-1 has several game databases"), "{told:?}");
    let told = db(&place, &from("gpu-1", &["--db", "selfplay.db", "--dry-run"])).await;
    assert!(told.code == Some(0) && told.out.contains("would be restored"), "{told:?}");
    assert_eq!(games(&mine), 1);
    let told = db(&place, &from("gpu-1", &["--db", "selfplay.db"])).await;
    assert!(
        told.code == Some(0)
            && told.out.contains("the one before is kept as DIR/mine/data/games/selfplay.db.before-restore-"),
        "{told:?}"
    );
    assert_eq!(games(&mine), 3);
    // The only one that it has.
    assert_eq!(db(&place, &from("gpu-2", &[])).await.code, Some(0));
    assert_eq!(games(&mine), 4);
    for (node, code, expected) in [
        ("hub", 1, "hub has no game database"),
        ("down", 3, "down: unreachable (connection refused)"),
        ("gpu-9", 1, "has no host gpu-9"),
    ] {
        let told = db(&place, &from(node, &["--db", "selfplay.db"])).await;
        assert!(told.code == Some(code) && told.err.contains(expected), "{node}: {told:?}");
    }
    assert_eq!(db(&place, &["restore", "--from", "gpu-1", "a.tar.zst"]).await.code, Some(2));
    assert_eq!(db(&place, &["restore"]).await.code, Some(2));
    assert_eq!(games(&mine), 4);
}

/// Bytes of memory that each program of the backup may have for its data, stacks and heap (`RLIMIT_DATA`, setrlimit(2)).
const MEMORY: u64 = 96 << 20;

#[tokio::test]
async fn a_backup_needs_less_memory_than_its_data() {
    let place = Place::new("hosts:\n  gpu-1: {ssh_host: node-a, status: ready, role: mixed, ringrift_path: ~/ai}\n");
    fs::create_dir(place.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_ringriftctl"), place.path("bin/ringriftctl")).unwrap();
    let path = at(&place, "node-a/ai", SELFPLAY);
    database::games(&path, 1, 1);
    // Of which no compression makes less.
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE;
             INSERT INTO game_choices WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 256)
               SELECT 'game-00000', i, 'big', 1, '', randomblob(1048576) FROM n;",
        )
        .unwrap();
    drop(database);
    assert!(fs::metadata(&path).unwrap().len() > 2 * MEMORY);
    let out = place.path("all.tar.zst").display().to_string();
    let args = ["--api", &nobody(), "db", "backup", "--output", &out, "--all-nodes", "--json"].map(str::to_owned);
    let mut command = place.command("", &[]);
    let program = command.as_std().get_program().to_owned();
    let environment: Vec<_> =
        command.as_std().get_envs().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
    command = Command::new("/bin/sh");
    command.args(["-c", &format!("ulimit -d {}; exec \"$0\" \"$@\"", MEMORY / 1024)]).arg(program).args(args);
    command.env_clear().envs(environment).kill_on_drop(true);
    let output = tokio::time::timeout(10 * crate::ctl::PATIENCE, command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(fs::metadata(&out).unwrap().len() > 2 * MEMORY);
}
