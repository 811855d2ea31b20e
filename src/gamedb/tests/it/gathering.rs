//! Databases that go from one machine to another: into one archive, or to their place.

use std::{fs, path::Path};

use ringrift_gamedb::{
    Absent, Course, DbError, Gathering, Member, Outcome, Part, PartState, Restoring, Stop, Wanted, check, offer,
    receive, rehearse, restore, verify,
};
use tempfile::TempDir;

use crate::{
    archiving::{NAMES, node},
    database::{PAGE, children, damage_page, folder, list, root, rows},
};

/// What a node sends of a database.
fn sent(root: &Path, name: &str) -> (Member, Vec<u8>) {
    let offer = offer(root, name, None, &mut Course::silent()).unwrap();
    let member = offer.member.clone();
    let mut bytes = Vec::new();
    offer.send(&mut bytes, &mut Course::silent()).unwrap();
    (member, bytes)
}

fn part(node: &str, state: PartState, reason: &str) -> Part {
    Part { node: node.to_owned(), state, reason: reason.to_owned() }
}

fn gather(gathering: &mut Gathering, name: &str, node: &Path, names: &[&str]) {
    for database in names {
        let (member, bytes) = sent(node, database);
        gathering.add(name, member, bytes.as_slice(), &mut Course::silent()).unwrap();
    }
}

/// An archive of two nodes, of which the second one lacks a database.
fn gathered() -> (TempDir, TempDir, std::path::PathBuf) {
    let (node, shelf) = (node(), folder());
    let archive = shelf.path().join("all.tar.zst");
    let mut gathering = Gathering::open(&["gpu-1", "gpu-2"], &archive).unwrap();
    gather(&mut gathering, "gpu-1", node.path(), &NAMES);
    gather(&mut gathering, "gpu-2", node.path(), &NAMES[..1]);
    let parts = vec![part("gpu-1", PartState::Asked, ""), part("gpu-2", PartState::Asked, "")];
    gathering.finish(parts, Vec::new(), Vec::new(), &mut Course::silent()).unwrap();
    (node, shelf, archive)
}

#[test]
fn the_databases_of_several_nodes_are_in_one_archive_and_each_is_there_again() {
    let (node, shelf, archive) = gathered();
    assert_eq!(list(shelf.path()), ["all.tar.zst"]);
    let manifest = verify(&archive, &mut Course::silent()).unwrap().manifest;
    assert!(manifest.is_complete() && manifest.version == 2 && manifest.whose() == "2 nodes");
    let names: Vec<&str> = manifest.databases.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names[..2], [format!("gpu-1/{}", NAMES[0]), format!("gpu-1/{}", NAMES[1])]);
    assert_eq!(names[3], format!("gpu-2/{}", NAMES[0]));
    assert_eq!(list(&node.path().join("data/games")), ["elo.db", "selfplay.db"], "nothing is left beside a database");

    let other = folder();
    let back = |wanted| restore(&archive, other.path(), wanted, Outcome::Replace, &mut Course::silent());
    let error = back(Wanted::default()).unwrap_err();
    assert!(matches!(&error, DbError::WhichNode { has, .. } if has == "gpu-1, gpu-2"), "{error}");
    let error = back(Wanted { node: Some("gpu-3"), database: None }).unwrap_err();
    assert!(matches!(&error, DbError::NoNode { has, .. } if has == "gpu-1, gpu-2"), "{error}");
    let error = back(Wanted { node: None, database: Some("selfplay.db") }).unwrap_err();
    assert!(matches!(&error, DbError::SeveralMembers { .. }), "{error}");
    for one in back(Wanted { node: Some("gpu-1"), database: None }).unwrap().1 {
        assert_eq!(one.outcome, Restoring::Restored { kept: None });
        let name = one.name.strip_prefix("gpu-1/").unwrap();
        assert_eq!(one.path, other.path().canonicalize().unwrap().join(name));
        assert_eq!(rows(&one.path), rows(&node.path().join(name)));
    }
    let same = back(Wanted { node: None, database: Some(&format!("gpu-2/{}", NAMES[0])) }).unwrap().1;
    assert_eq!(same[0].outcome, Restoring::Same);
}

#[test]
fn what_is_missing_is_told_and_what_was_stopped_goes_on() {
    let (node, shelf) = (node(), folder());
    let archive = shelf.path().join("all.tar.zst");
    let nodes = ["gpu-1", "gpu-2", "gpu-3"];
    let mut gathering = Gathering::open(&nodes, &archive).unwrap();
    gather(&mut gathering, "gpu-1", node.path(), &NAMES[..2]);
    assert!(matches!(Gathering::open(&nodes, &archive), Err(DbError::Writing(_))));
    gathering.stop();
    assert_eq!(list(shelf.path()), ["all.tar.zst.partial", "all.tar.zst.partial.json"]);

    let mut gathering = Gathering::open(&nodes, &archive).unwrap();
    assert!(gathering.has("gpu-1", NAMES[1]) && !gathering.has("gpu-1", NAMES[2]) && !gathering.has("gpu-2", NAMES[1]));
    gather(&mut gathering, "gpu-1", node.path(), &NAMES[2..]);
    let parts = vec![
        part("gpu-1", PartState::Asked, ""),
        part("gpu-2", PartState::Missing, "connection refused"),
        part("gpu-3", PartState::Skipped, "status: retired"),
    ];
    let absent = |name: &str| ("gpu-1".to_owned(), Absent { name: name.to_owned(), reason: "why".to_owned() });
    let (missing, others) = (vec![absent("data/games/a.db")], vec![absent("data/games/elo.db")]);
    let made = gathering.finish(parts, missing, others, &mut Course::silent()).unwrap();
    assert_eq!((made.resumed, made.manifest.databases.len(), made.manifest.is_complete()), (2, 3, false));
    assert_eq!(made.manifest.missing[0].name, "gpu-1/data/games/a.db");
    assert_eq!(verify(&archive, &mut Course::silent()).unwrap().manifest, made.manifest);
    assert!(matches!(Gathering::open(&nodes, &archive), Err(DbError::Exists(_))));

    let empty = Gathering::open(&["gpu-2"], &shelf.path().join("b.tar.zst")).unwrap();
    let parts = vec![part("gpu-2", PartState::Missing, "connection refused")];
    let error = empty.finish(parts, Vec::new(), Vec::new(), &mut Course::silent()).unwrap_err();
    assert_eq!(error.to_string(), "nothing is backed up: gpu-2: connection refused");
    assert_eq!(list(shelf.path()), ["all.tar.zst"]);
}

/// Ways to arrive that are not what was sent.
fn spoilt() -> Vec<(&'static str, Member, Vec<u8>)> {
    let (node, other) = (node(), node());
    let (member, bytes) = sent(node.path(), NAMES[0]);
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let longer = Member { size_bytes: member.size_bytes - 1, ..member.clone() };
    let shorter = Member { size_bytes: member.size_bytes + 1, ..member.clone() };
    let elsewhere = Member { name: "data/games/../../etc/a.db".to_owned(), ..member.clone() };
    vec![
        ("cut", member.clone(), bytes[..bytes.len() / 2].to_vec()),
        ("nothing", member.clone(), Vec::new()),
        ("flipped", member.clone(), flipped),
        ("longer", longer, bytes.clone()),
        ("shorter", shorter, bytes.clone()),
        ("another", member, sent(other.path(), NAMES[2]).1),
        ("elsewhere", elsewhere, bytes),
    ]
}

#[test]
fn what_arrives_otherwise_than_it_was_sent_leaves_nothing_behind() {
    let (node, shelf) = (node(), folder());
    let archive = shelf.path().join("all.tar.zst");
    let mut gathering = Gathering::open(&["gpu-1"], &archive).unwrap();
    gather(&mut gathering, "gpu-1", node.path(), &NAMES[1..2]);
    for (what, member, bytes) in spoilt() {
        let error = gathering.add("gpu-1", member, bytes.as_slice(), &mut Course::silent()).unwrap_err();
        assert!(matches!(error, DbError::NotArrived { .. }), "{what}: {error}");
        assert!(!gathering.has("gpu-1", NAMES[0]), "{what}");
    }
    // One that somebody stops while it arrives.
    let stop = Stop::default();
    let (member, bytes) = sent(node.path(), NAMES[0]);
    let mut course = Course::new(stop.clone(), |_| stop.set());
    let error = gathering.add("gpu-1", member, bytes.as_slice(), &mut course).unwrap_err();
    assert!(matches!(error, DbError::Stopped(_)), "{error}");

    gather(&mut gathering, "gpu-1", node.path(), &[NAMES[0], NAMES[2]]);
    let parts = vec![part("gpu-1", PartState::Asked, "")];
    let made = gathering.finish(parts, Vec::new(), Vec::new(), &mut Course::silent()).unwrap();
    let names: Vec<String> = made.manifest.databases.into_iter().map(|member| member.name).collect();
    assert_eq!(names, [NAMES[1], NAMES[0], NAMES[2]].map(|name| format!("gpu-1/{name}")));
}

#[test]
fn a_database_of_another_node_takes_its_place_and_the_old_one_is_kept() {
    let (node, here) = (node(), folder());
    let place = here.path().join(NAMES[0]);
    let (member, bytes) = sent(node.path(), NAMES[0]);
    let come = |member: &Member, bytes: &[u8]| receive(member, bytes, here.path(), &mut Course::silent());
    let planned = rehearse(NAMES[0], here.path()).unwrap();
    assert_eq!(planned.outcome, Restoring::Would { replaces: false });
    assert_eq!(come(&member, &bytes).unwrap().outcome, Restoring::Restored { kept: None });
    assert_eq!(rows(&place), rows(&node.path().join(NAMES[0])));
    assert_eq!(come(&member, b"not read").unwrap().outcome, Restoring::Same);

    // Another one is there, and what comes is spoilt: it stays.
    fs::copy(node.path().join(NAMES[1]), &place).unwrap();
    let before = fs::read(&place).unwrap();
    for (what, member, bytes) in spoilt() {
        let error = come(&member, &bytes).unwrap_err();
        assert!(matches!(error, DbError::NotArrived { .. }), "{what}: {error}");
        assert_eq!(fs::read(&place).unwrap(), before, "{what}");
    }
    assert_eq!(list(&here.path().join("data/games")), ["selfplay.db"]);

    // Somebody has it open.
    let user = rusqlite::Connection::open(&place).unwrap();
    user.query_row("SELECT count(*) FROM games", [], |row| row.get::<_, i64>(0)).unwrap();
    let refused = come(&member, &bytes).unwrap();
    assert!(matches!(&refused.outcome, Restoring::Refused { reason } if reason.contains("in use")), "{refused:?}");
    drop(user);
    let Restoring::Restored { kept: Some(kept) } = come(&member, &bytes).unwrap().outcome else {
        panic!("not put there")
    };
    assert_eq!(fs::read(kept).unwrap(), before);
    assert!(check(&place, &mut Course::silent()).unwrap().is_sound());

    // Damaged where it comes from: offered, told of, and put nowhere.
    let damaged = node.path().join(NAMES[0]);
    let leaf = children(&damaged, root(&damaged, "game_moves"))[1];
    damage_page(&damaged, leaf, &[0; PAGE]);
    let (member, bytes) = sent(node.path(), NAMES[0]);
    assert!(!member.whole);
    fs::remove_file(&place).unwrap();
    let refused = come(&member, &bytes).unwrap();
    assert!(matches!(&refused.outcome, Restoring::Refused { reason } if reason.contains("damaged")), "{refused:?}");
    assert!(!place.exists());
}

#[test]
fn only_game_databases_are_offered() {
    let node = node();
    let ask = |name: &str| offer(node.path(), name, None, &mut Course::silent()).unwrap_err();
    assert!(matches!(ask("data/games/elo.db"), DbError::NotAGameDatabase { .. }));
    for name in ["data/games/none.db", "../etc/passwd", "/etc/passwd", "data/games/../games/selfplay.db"] {
        assert!(matches!(ask(name), DbError::NoMember { .. }), "{name}");
    }
    let scratch = folder();
    let offered = offer(node.path(), NAMES[0], Some(scratch.path()), &mut Course::silent()).unwrap();
    assert_eq!(list(scratch.path()).len(), 1);
    drop(offered);
    assert_eq!(list(scratch.path()).len(), 0);
}
