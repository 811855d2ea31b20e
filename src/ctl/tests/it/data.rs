//! Making room. What may go is tested where it is decided; here is what is said, asked and done.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use crate::{
    ctl::{Ran, command, folder, ran},
    database,
};

const DAY: u64 = 86_400;

fn age(path: &Path, days: u64) {
    let at = SystemTime::now() - Duration::from_secs(days * DAY);
    fs::File::options().append(true).open(path).unwrap().set_modified(at).unwrap();
}

/// A node with an old log, a new one, and two old databases.
fn node() -> TempDir {
    let node = folder();
    for (name, days) in [("logs/old.log", 30), ("logs/new.log", 1), ("models/canonical_hex8_2p.pth", 90)] {
        let path = node.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, name).unwrap();
        age(&path, days);
    }
    for (name, games) in [("a.db", 3), ("b.db", 5)] {
        let path = node.path().join("data/games").join(name);
        database::games(&path, games, 4);
        age(&path, 60);
    }
    node
}

async fn data(node: &Path, args: &[&str]) -> Ran {
    let mut command = command();
    command.current_dir(node).env("RINGRIFT_NODE_ID", "gpu-3").arg("data").args(args);
    ran(&mut command, node.canonicalize().unwrap().to_str().unwrap()).await
}

#[tokio::test]
async fn a_cleanup_lists_asks_moves_and_gives_back() {
    let node = node();
    let told = data(node.path(), &["cleanup", "--keep-days", "7", "--dry-run"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for expected in [
        "logs/old.log",
        "Stays: 1 of 12 B: is too young",
        "is a canonical model",
        "may be the only copy: 3 others are to have it",
        "1 files of 12 B may go.",
        "Nothing was changed.",
    ] {
        assert!(told.out.contains(expected), "{expected} is not in\n{}", told.out);
    }
    let told = data(node.path(), &["cleanup", "--keep-days", "7"]).await;
    assert!(
        told.code == Some(1) && told.err.contains("logs/old.log") && told.err.contains("nobody can be asked"),
        "{told:?}"
    );
    assert!(node.path().join("logs/old.log").exists());

    let told = data(node.path(), &["cleanup", "--keep-days", "7", "--yes", "--json"]).await;
    let json = told.json();
    assert_eq!((told.code, &json["moved"], &json["bytes"]), (Some(0), &1.into(), &12.into()), "{told:?}");
    assert!(!node.path().join("logs/old.log").exists() && node.path().join("data/games/a.db").exists());
    let listed = data(node.path(), &["restore"]).await;
    assert!(listed.out.contains("DIR/logs/old.log") || listed.out.contains("logs/old.log"), "{listed:?}");
    let moment = json["moment"].as_str().unwrap();
    let told = data(node.path(), &["restore", moment]).await;
    assert_eq!((told.code, told.out.as_str()), (Some(0), "Put 1 files back to where they were.\n"));
    assert_eq!(fs::read_to_string(node.path().join("logs/old.log")).unwrap(), "logs/old.log");
    let told = data(node.path(), &["restore", moment]).await;
    assert!(told.code == Some(1) && told.err.contains("there is no"), "{told:?}");
}

#[tokio::test]
async fn the_trash_is_emptied_after_its_grace_and_not_before() {
    let node = node();
    data(node.path(), &["cleanup", "--keep-days", "7", "--yes"]).await;
    let trash = node.path().join("logs/.ringrift-trash");
    let told = data(node.path(), &["cleanup", "--keep-days", "7", "--yes"]).await;
    assert!(told.code == Some(0) && trash.exists() && !told.out.contains("Deleted"), "{told:?}");
    let told = data(node.path(), &["cleanup", "--keep-days", "7", "--grace-hours", "0", "--yes"]).await;
    assert!(told.code == Some(0) && told.out.contains("Deleted 1 files of 12 B from the trash."), "{told:?}");
    assert!(!trash.exists());
}

#[tokio::test]
async fn the_hosts_files_thresholds_and_folders_count() {
    let node = node();
    let elsewhere = folder();
    let log = elsewhere.path().join("far.log");
    fs::write(&log, "far").unwrap();
    age(&log, 30);
    let hosts = elsewhere.path().join("hosts.yaml");
    let text = |percent: u32| {
        format!(
            "sync_routing: {{max_disk_usage_percent: {percent}, target_disk_usage_percent: {percent}, min_free_disk_percent: 0}}\n\
             hosts:\n  gpu-3:\n    role: mixed\n    status: ready\n    storage_paths:\n      logs: {}\n",
            elsewhere.path().display()
        )
    };
    let cleanup = async |percent: u32| {
        fs::write(&hosts, text(percent)).unwrap();
        let args = ["cleanup", "--keep-days", "7", "-n", "--if-needed", "--hosts", hosts.to_str().unwrap()];
        data(node.path(), &args).await
    };
    // Whatever the disk of this machine holds, it is neither empty nor full.
    let told = cleanup(100).await;
    assert!(
        told.code == Some(0) && told.out.contains("0 files of 0 B may go.") && told.out.contains("has room enough"),
        "{told:?}"
    );
    let told = cleanup(0).await;
    assert!(told.out.contains("far.log") && told.out.contains("logs/old.log"), "{told:?}");
    fs::write(&hosts, "sync_routing: {max_disk_usage_percent: much}\nhosts:\n  a: {role: mixed}\n").unwrap();
    let told = data(node.path(), &["cleanup", "--keep-days", "7", "--hosts", hosts.to_str().unwrap()]).await;
    assert!(
        told.code == Some(1) && told.err.contains("sync_routing.max_disk_usage_percent: expected percent"),
        "{told:?}"
    );
    let told = data(elsewhere.path(), &["cleanup", "--keep-days", "7"]).await;
    assert!(told.code == Some(1) && told.err.contains("is no node's folder"), "{told:?}");
}

#[tokio::test]
async fn an_archive_has_what_is_moved_away() {
    let node = node();
    age(&node.path().join("data/games/b.db"), 2);
    let told = data(node.path(), &["archive", "-o", "old.tar.zst", "--dry-run"]).await;
    assert!(told.code == Some(0) && told.out.starts_with("data/games/a.db\n1 databases"), "{told:?}");
    assert!(!node.path().join("old.tar.zst").exists());
    let told = data(node.path(), &["archive", "-o", "old.tar.zst", "--yes"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(!node.path().join("data/games/a.db").exists() && node.path().join("data/games/b.db").exists());
    // From the archive, as after the trash was emptied.
    let mut restore = command();
    restore.current_dir(node.path()).args(["db", "restore", "old.tar.zst"]);
    assert_eq!(ran(&mut restore, "").await.code, Some(0));
    assert_eq!(database::rows(&node.path().join("data/games/a.db"))["games"].len(), 3);
    let told = data(node.path(), &["archive", "-o", "old.tar.zst", "--yes"]).await;
    assert!(told.code == Some(1), "never over one that is there: {told:?}");

    // With the archive as a manifest a cleanup may take what is in it, if one copy is enough.
    let hosts = node.path().join("hosts.yaml");
    fs::write(&hosts, "sync_routing: {replication_target: 1}\nhosts:\n  gpu-3: {role: mixed, status: ready}\n")
        .unwrap();
    age(&node.path().join("data/games/a.db"), 60);
    let hosts = hosts.to_str().unwrap();
    let args = ["cleanup", "--keep-days", "30", "-n", "--hosts", hosts, "--manifest", "old.tar.zst"];
    let told = data(node.path(), &args).await;
    assert!(told.code == Some(0) && told.out.contains("data/games/a.db"), "{told:?}");
}
