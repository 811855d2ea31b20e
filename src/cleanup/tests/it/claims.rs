use std::{fs, os::unix::fs::symlink};

use ringrift_cleanup::{Batch, CleanupError, Roots};

use crate::bed::{Bed, DAY, age, going, now, stays};

#[test]
fn what_is_old_and_replaceable_goes_and_all_else_stays() {
    let mut bed = Bed::new();
    for name in [
        "logs/old.log",
        "checkpoints/run-1/epoch-3.pt",
        "models/hex8_try.pth",
        "models/hex8_try.pth.sha256",
        "models/linked.pth",
        "models/canonical_hex8_2p.pth",
        "models/canonical_hex8_2p.pth.sha256",
        "models/.store/abc",
        "data/games/mine.db",
        "data/games/shared.db",
        "data/training/shared.npz",
        "data/unified_elo.db",
    ] {
        bed.file(name, 30.0, 100);
    }
    bed.file("logs/new.log", 1.0, 10);
    symlink("linked.pth", bed.node.join("models/ringrift_best_hex8_2p.pth")).unwrap();
    bed.others_have(&["data/games/shared.db", "data/training/shared.npz"], 1);
    let plan = bed.plan(7.0, false);
    assert_eq!(
        going(&plan),
        [
            "checkpoints/run-1/epoch-3.pt",
            "data/games/shared.db",
            "data/training/shared.npz",
            "logs/old.log",
            "models/hex8_try.pth",
        ]
    );
    assert_eq!(plan.bytes(), 600, "a checksum goes with its model");
    for (name, why) in [
        ("logs/new.log", "is too young"),
        ("models/linked.pth", "is linked to"),
        ("models/canonical_hex8_2p.pth", "is a canonical model"),
        ("models/.store/abc", "is nothing that a cleanup knows"),
        ("data/games/mine.db", "may be the only copy: 0 others are known to have it, 1 are wanted"),
    ] {
        assert_eq!(stays(&plan, name), why, "{name}");
    }
    assert!(!plan.decisions.iter().any(|one| one.item.name.contains("elo")), "other folders are none of ours");
}

#[test]
fn as_many_others_must_have_training_data_as_the_hosts_file_wants() {
    let mut bed = Bed::new();
    bed.thresholds.replicas = 3;
    bed.file("data/games/a.db", 30.0, 10);
    bed.others_have(&["data/games/a.db"], 2);
    let two = bed.plan(7.0, false);
    assert_eq!(stays(&two, "data/games/a.db"), "may be the only copy: 2 others are known to have it, 3 are wanted");
    bed.others_have(&["data/games/a.db"], 3);
    assert_eq!(going(&bed.plan(7.0, false)), ["data/games/a.db"]);
    // Other bytes under the same name are no copy.
    fs::write(bed.node.join("data/games/a.db"), "other bytes").unwrap();
    age(&bed.node.join("data/games/a.db"), 30.0);
    assert!(going(&bed.plan(7.0, false)).is_empty());
}

#[test]
fn a_database_whose_log_is_not_empty_is_more_than_its_copy() {
    let mut bed = Bed::new();
    bed.file("data/games/a.db", 30.0, 10);
    bed.others_have(&["data/games/a.db"], 5);
    bed.file("data/games/a.db-wal", 30.0, 10);
    assert!(stays(&bed.plan(7.0, false), "data/games/a.db").starts_with("may be the only copy"));
    bed.file("data/games/a.db-wal", 30.0, 0);
    assert_eq!(going(&bed.plan(7.0, false)), ["data/games/a.db"]);
}

#[test]
fn what_is_open_stays_with_all_that_belongs_to_it() {
    let mut bed = Bed::new();
    bed.file("data/games/a.db", 30.0, 10);
    bed.file("data/games/a.db-wal", 30.0, 0);
    bed.others_have(&["data/games/a.db"], 1);
    let log = bed.file("logs/a.log", 30.0, 10);
    let open = [fs::File::open(bed.node.join("data/games/a.db-wal")).unwrap(), fs::File::open(&log).unwrap()];
    let plan = bed.plan(7.0, false);
    assert!(going(&plan).is_empty(), "{plan:?}");
    assert_eq!(stays(&plan, "data/games/a.db"), "is in use");
    drop(open);
    let plan = bed.plan(7.0, false);
    assert_eq!(going(&plan), ["data/games/a.db", "logs/a.log"]);
    // Opened after the decision.
    let open = fs::File::open(&log).unwrap();
    assert_eq!(bed.clean(&plan, "20261128T120000Z"), ["it is in use now"]);
    assert!(
        log.exists() && !bed.node.join("data/games/a.db").exists() && !bed.node.join("data/games/a.db-wal").exists()
    );
    drop(open);
}

#[test]
fn what_changed_after_the_decision_stays() {
    let bed = Bed::new();
    let log = bed.file("logs/a.log", 30.0, 10);
    let plan = bed.plan(7.0, false);
    fs::write(&log, "more has come").unwrap();
    assert_eq!(bed.clean(&plan, "20261128T120000Z"), ["it was changed meanwhile"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), "more has come");
}

#[test]
fn links_are_neither_followed_nor_moved() {
    let bed = Bed::new();
    let away = bed.outside.path().canonicalize().unwrap().join("away");
    fs::create_dir_all(&away).unwrap();
    fs::write(away.join("precious.log"), "x").unwrap();
    age(&away.join("precious.log"), 300.0);
    symlink(&away, bed.node.join("logs/away")).unwrap();
    symlink(away.join("precious.log"), bed.node.join("logs/one.log")).unwrap();
    bed.file("logs/deep/b.log", 30.0, 10);
    let plan = bed.plan(7.0, false);
    assert_eq!(going(&plan), ["logs/deep/b.log"]);
    // A link in the place of a folder that was looked into.
    fs::rename(bed.node.join("logs/deep"), away.join("deep")).unwrap();
    symlink(away.join("deep"), bed.node.join("logs/deep")).unwrap();
    assert_eq!(bed.clean(&plan, "20261128T120000Z"), ["a link leads to it now"]);
    assert!(away.join("precious.log").exists() && away.join("deep/b.log").exists());
}

#[test]
fn only_the_folder_of_a_node_is_cleaned_up() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Roots::of(folder.path(), None), Err(CleanupError::NoNode(_))));
    assert!(matches!(Roots::of(&folder.path().join("none"), None), Err(CleanupError::Io { .. })));
}

#[test]
fn the_trash_gives_back_until_its_time_is_over() {
    let mut bed = Bed::new();
    for name in ["logs/a.log", "models/x.pth", "data/games/a.db"] {
        bed.file(name, 30.0, 50);
    }
    bed.others_have(&["data/games/a.db"], 1);
    let before = bed.files();
    let plan = bed.plan(7.0, false);
    assert_eq!(bed.clean(&plan, "20261128T120000Z"), [""; 0]);
    assert!(plan.going().all(|item| !item.path.exists()));
    assert!(bed.plan(7.0, false).decisions.is_empty(), "the trash itself is not looked at");

    assert_eq!(bed.trash().restore("20261128T120000Z").unwrap(), 3);
    assert_eq!(bed.files(), before);
    assert!(matches!(bed.trash().restore("20261128T120000Z"), Err(CleanupError::NoBatch(_))));

    bed.clean(&bed.plan(7.0, false), "20261128T120000Z");
    fs::write(bed.node.join("logs/a.log"), "a new one").unwrap();
    assert!(matches!(bed.trash().restore("20261128T120000Z"), Err(CleanupError::Occupied(_))));
    fs::remove_file(bed.node.join("logs/a.log")).unwrap();

    let at: f64 = 1_795_867_200.0;
    let none = bed.trash().empty(at + DAY - 1.0, DAY, &bed.copies, 1).unwrap();
    assert_eq!((none.files, none.kept.len()), (0, 0), "its time is not over");
    // Nobody says any more that others have the database.
    let some = bed.trash().empty(at + DAY, DAY, &ringrift_cleanup::Copies::default(), 1).unwrap();
    assert_eq!((some.files, some.bytes, some.kept.len()), (2, 100, 1));
    let files = |batches: Vec<Batch>| batches.into_iter().flat_map(|batch| batch.files).count();
    assert_eq!(files(bed.trash().batches().unwrap()), 1);
    let rest = bed.trash().empty(at + DAY, DAY, &bed.copies, 1).unwrap();
    assert_eq!((rest.files, rest.kept.len()), (1, 0));
    assert!(bed.trash().batches().unwrap().is_empty());
    assert!(!bed.node.join("data/games/.ringrift-trash").exists(), "nothing is left of it");
    assert!(now() > 0.0);
}

#[test]
fn a_list_in_the_trash_that_leads_elsewhere_deletes_nothing_there() {
    let bed = Bed::new();
    let victim = bed.file("data/games/precious.db", 30.0, 10);
    let batch = bed.node.join("logs/.ringrift-trash/20200101T000000Z");
    fs::create_dir_all(&batch).unwrap();
    let list = "[{\"name\": \"../../../data/games/precious.db\", \"size_bytes\": 10, \"training_data\": false, \"sha256\": null}]";
    fs::write(batch.join("list.json"), list).unwrap();
    // A folder that no cleanup has made.
    fs::create_dir_all(bed.node.join("logs/.ringrift-trash/mine")).unwrap();
    fs::write(bed.node.join("logs/.ringrift-trash/mine/list.json"), "not ours").unwrap();
    bed.trash().empty(now(), DAY, &bed.copies, 1).unwrap();
    assert!(victim.exists() && bed.node.join("logs/.ringrift-trash/mine/list.json").exists());
}
