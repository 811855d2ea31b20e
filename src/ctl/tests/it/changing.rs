//! Commands that change something.

use std::fs;

use ringrift_api::{
    EligibilityChanged, EligibilityState, ErrorBody, ErrorCode, LeaderTransferred, Reloaded, SnapshotRestored,
    VoterChange,
};
use serde_json::{Value, json};

use crate::{
    cluster::id,
    ctl::{command, folder, ran, run},
    fake::{Answer, Fake, Seen},
};

fn changed(name: &str) -> Answer {
    Answer::json(&EligibilityChanged {
        success: true,
        node_id: id(name),
        state: EligibilityState::Cordoned,
        changed: true,
        message: format!("{name} gets no new work"),
    })
}

#[tokio::test]
async fn a_cordon_says_who_asks_and_why() {
    let fake = Fake::start(|_: &Seen| changed("gpu-3")).await;
    let told = run(&fake, &["nodes", "cordon", "gpu-3", "--reason", "new driver"]).await;
    assert_eq!((told.out.as_str(), told.code), ("gpu-3 gets no new work\n", Some(0)));
    let seen = &fake.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/api/nodes/gpu-3/cordon"));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["reason"], "new driver");
    assert!(body["by"].as_str().unwrap().starts_with("op@"), "{body}");

    let mut nameless = command();
    nameless.env_remove("USER").args(["--api", &fake.url(), "nodes", "cordon", "gpu-3"]);
    assert_eq!(ran(&mut nameless, "").await.code, Some(0));
    let body: Value = serde_json::from_slice(&fake.seen()[1].body).unwrap();
    assert!(body["by"].as_str().unwrap().starts_with("uid "), "{body}");
}

#[tokio::test]
async fn of_several_nodes_one_that_fails_does_not_stop_the_others() {
    let fake = Fake::start(|seen: &Seen| match seen.path.as_str() {
        "/api/nodes/b/drain" => Answer::json(&ErrorBody::new(ErrorCode::NotFound, "no node is named b")).status(404),
        path => changed(path.split('/').nth(3).unwrap()),
    })
    .await;
    let ran = run(&fake, &["nodes", "drain", "a", "b", "c"]).await;
    insta::assert_snapshot!("drain_three", ran.told());
    let ran = run(&fake, &["nodes", "drain", "a", "b", "c", "--json"]).await;
    assert_eq!((ran.json()["nodes"].as_array().unwrap().len(), ran.code), (2, Some(1)));
    assert_eq!(ran.json_error()["error_code"], "NOT_FOUND");
}

#[tokio::test]
async fn a_transfer_names_both_leaders() {
    let answer = LeaderTransferred {
        success: true,
        from: id("alpha"),
        leader_id: id("beta"),
        term: 8,
        message: "transferred".to_owned(),
    };
    let fake = Fake::start(move |_: &Seen| Answer::json(&answer)).await;
    let ran = run(&fake, &["leader", "transfer", "--to", "beta"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("beta leads now, in term 8; before it alpha did.\n", Some(0)));
    assert_eq!(fake.seen()[0].body, r#"{"to":"beta"}"#);
    run(&fake, &["leader", "transfer"]).await;
    assert_eq!(fake.seen()[1].body, r#"{"to":null}"#);
}

#[tokio::test]
async fn a_transfer_to_the_leader_says_that_it_leads_already() {
    let (from, leader_id) = (id("alpha"), id("alpha"));
    let answer = LeaderTransferred { success: true, from, leader_id, term: 7, message: String::new() };
    let fake = Fake::start(move |_: &Seen| Answer::json(&answer)).await;
    let ran = run(&fake, &["leader", "transfer", "--to", "alpha"]).await;
    assert_eq!((ran.out.as_str(), ran.code), ("alpha leads already, in term 7.\n", Some(0)));
}

#[tokio::test]
async fn a_reload_tells_what_is_different_now() {
    let answer = Reloaded {
        success: true,
        node_id: id("beta"),
        hosts_revision: "abc".to_owned(),
        changes: vec!["host delta is new".to_owned()],
        need_restart: vec!["http_port: 8770 → 9770 (settings.yaml:3)".to_owned()],
        warnings: vec!["hosts.yaml:7: p2p_voters: an even number of voters".to_owned()],
        voters: Some(VoterChange { from: vec![id("alpha")], to: vec![id("alpha"), id("delta")], done: false }),
        message: "loaded 6 hosts".to_owned(),
    };
    let fake = Fake::start(move |_: &Seen| Answer::json(&answer)).await;
    insta::assert_snapshot!("reload", run(&fake, &["reload", "beta"]).await.told());
    assert_eq!(fake.seen()[0].path, "/api/node/beta/api/reload");
}

#[tokio::test]
async fn a_refusal_is_the_daemons_sentence() {
    let body = ErrorBody::new(ErrorCode::Refused, "2 of the 3 new voters are not alive: nothing was changed");
    let fake = Fake::start(move |_: &Seen| Answer::json(&body).status(409)).await;
    insta::assert_snapshot!("reload_refused", run(&fake, &["reload"]).await.told());
}

#[tokio::test]
async fn a_snapshot_is_saved_whole_for_its_owner_and_never_over_another() {
    use std::os::unix::fs::PermissionsExt as _;
    let fake = Fake::start(|_: &Seen| Answer::text("application/octet-stream", vec![7u8; 300_000])).await;
    let folder = folder();
    let file = folder.path().join("s.snap");
    let name = file.to_str().unwrap();
    let ran = run(&fake, &["snapshot", "save", name]).await;
    assert_eq!((ran.out, ran.code), (format!("Saved 300000 bytes to {name}.\n"), Some(0)));
    assert_eq!(fs::read(&file).unwrap(), vec![7u8; 300_000]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(&file, "mine").unwrap();
    let ran = run(&fake, &["snapshot", "save", name]).await;
    assert!(ran.err.contains("is there already") && ran.code == Some(1), "{ran:?}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(run(&fake, &["snapshot", "save", name, "--force"]).await.code, Some(0));
    assert_eq!(fs::read(&file).unwrap().len(), 300_000);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");

    let ran = run(&fake, &["snapshot", "save", "/no/such/folder/s.snap"]).await;
    assert_eq!(
        (ran.err.as_str(), ran.code),
        ("error: cannot write /no/such/folder/s.snap: No such file or directory (os error 2)\n", Some(1))
    );
}

#[tokio::test]
async fn a_snapshot_that_is_cut_off_leaves_no_file() {
    let fake = Fake::start(|_: &Seen| Answer::text("application/octet-stream", "abc").and_silence()).await;
    let folder = folder();
    let file = folder.path().join("s.snap");
    let ran = run(&fake, &["--timeout", "0.2", "snapshot", "save", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_restore_is_meant() {
    let answer = SnapshotRestored { success: true, index: 50, message: "restored at index 50".to_owned() };
    let fake = Fake::start(move |_: &Seen| Answer::json(&answer)).await;
    let folder = folder();
    let file = folder.path().join("s.snap");
    fs::write(&file, [1, 2, 3]).unwrap();
    let name = file.to_str().unwrap();
    // Nobody sits at this standard input.
    let ran = run(&fake, &["snapshot", "restore", name]).await;
    assert!(ran.err.contains("nobody can be asked") && ran.code == Some(1), "{ran:?}");
    assert!(fake.seen().is_empty());

    let ran = run(&fake, &["snapshot", "restore", name, "--yes", "--json"]).await;
    assert_eq!(
        (ran.json(), ran.code),
        (json!({"success": true, "index": 50, "message": "restored at index 50"}), Some(0))
    );
    assert_eq!((fake.seen()[0].path.as_str(), &fake.seen()[0].body[..]), ("/api/snapshot/restore", &[1u8, 2, 3][..]));
}
