//! Promoting a file.

use std::{fs, path::Path};

use ringrift_api::{DistributionPhase, ErrorBody, ErrorCode};
use ringrift_blob::Digest;
use serde_json::{Value, json};

use super::{archive, cluster, model_file, part, promote, told};
use crate::{
    ctl::{command, folder, in_time, ran},
    fake::{Answer, Fake, Seen},
    terminal::Pty,
};

#[tokio::test]
async fn a_promotion_is_uploaded_asked_for_and_followed_to_its_end() {
    let folder = folder();
    let (file, sha256) = model_file(folder.path(), "best.pth");
    let fake = Fake::start(cluster(DistributionPhase::Complete)).await;
    let args = ["--config", "hex8_2p", "--elo", "1612.4", "--wait"];
    let ran = told(&fake, &mut promote(&fake, &file, &args), folder.path()).await;
    insta::assert_snapshot!("promote", ran.told());

    let seen = fake.seen();
    let paths: Vec<String> = seen.iter().take(3).map(|seen| format!("{} {}", seen.method, seen.path)).collect();
    assert_eq!(
        paths,
        [
            format!("HEAD /models/by-digest/{sha256}"),
            format!("POST /models/upload?sha256={sha256}"),
            "POST /api/models/promote".to_owned(),
        ]
    );
    assert!(seen.iter().all(|seen| seen.headers["authorization"] == format!("Bearer {}", "x".repeat(64))));
    let upload = &seen[1];
    assert_eq!(part(&upload.body), archive());
    assert_eq!(upload.headers["content-length"], upload.body.len().to_string());
    assert!(String::from_utf8_lossy(&upload.body).contains("name=\"file\"; filename=\"canonical_hex8_2p.pth\""));
    let body: Value = serde_json::from_slice(&seen[2].body).unwrap();
    assert_eq!((&body["elo"], &body["sha256"], &body["force"]), (&1612.4.into(), &json!(sha256), &false.into()));
    assert!(body["by"].as_str().unwrap().starts_with("op@"), "{body}");
}

#[tokio::test]
async fn bytes_that_are_there_are_not_sent_again() {
    let folder = folder();
    let (file, _) = model_file(folder.path(), "canonical_hex8_2p.pth");
    let fake = Fake::start(cluster(DistributionPhase::Complete)).await;
    // Without a terminal nobody waits unless asked to.
    let first = told(&fake, &mut promote(&fake, &file, &["--json"]), folder.path()).await;
    let again = told(&fake, &mut promote(&fake, &file, &["--json", "--wait"]), folder.path()).await;
    assert_eq!((&first.json()["uploaded"], &first.json()["waited"]), (&true.into(), &false.into()));
    assert_eq!((&again.json()["uploaded"], &again.json()["waited"]), (&false.into(), &true.into()));
    assert_eq!(again.json()["distributions"][0]["distribution"]["duration_seconds"], 12.3);
    assert_eq!((first.code, again.code, first.err.as_str()), (Some(0), Some(0), ""));
}

#[tokio::test]
async fn a_promotion_that_does_not_reach_every_node_ends_with_1_and_names_them() {
    let folder = folder();
    let (file, _) = model_file(folder.path(), "canonical_hex8_2p.pth");
    let fake = Fake::start(cluster(DistributionPhase::Failed)).await;
    let ran = told(&fake, &mut promote(&fake, &file, &["--wait"]), folder.path()).await;
    insta::assert_snapshot!("promote_failed", ran.told());
    let fake = Fake::start(cluster(DistributionPhase::Failed)).await;
    let ran = told(&fake, &mut promote(&fake, &file, &["--wait", "--json"]), folder.path()).await;
    assert_eq!((&ran.json()["success"], &ran.json()["distributions"][0]["state"]), (&false.into(), &"failed".into()));
    assert_eq!(ran.code, Some(1));
}

#[tokio::test]
async fn a_file_that_is_no_whole_model_is_not_promoted() {
    let folder = folder();
    let (file, _) = model_file(folder.path(), "canonical_hex8_2p.pth");
    let whole = archive();
    fs::write(&file, &whole[..whole.len() - 30]).unwrap();
    let fake = Fake::start(cluster(DistributionPhase::Complete)).await;
    let ran = told(&fake, &mut promote(&fake, &file, &[]), folder.path()).await;
    insta::assert_snapshot!("promote_cut", ran.told());
    assert!(fake.seen().is_empty());
    assert_eq!(told(&fake, &mut promote(&fake, &file, &["--no-validate"]), folder.path()).await.code, Some(0));

    let (nameless, _) = model_file(folder.path(), "best.pth");
    let ran = told(&fake, &mut promote(&fake, &nameless, &[]), folder.path()).await;
    assert!(ran.code == Some(2) && ran.err.contains("--config hex8_2p"), "{ran:?}");
    for bad in ["nan", "inf", "high"] {
        let mut command = promote(&fake, &nameless, &["--config", "hex8_2p", "--elo", bad]);
        assert_eq!(told(&fake, &mut command, folder.path()).await.code, Some(2), "{bad}");
    }
    let mut missing = promote(&fake, Path::new("/no/such/file"), &["--name", "x.pth"]);
    assert_eq!(told(&fake, &mut missing, folder.path()).await.code, Some(1));
}

#[tokio::test]
async fn what_the_daemon_refuses_is_not_promoted() {
    let folder = folder();
    let (file, _) = model_file(folder.path(), "canonical_hex8_2p.pth");
    for (status, code, exit) in [(401, ErrorCode::Unauthorized, 4), (413, ErrorCode::TooLarge, 1)] {
        let fake = Fake::start(move |seen: &Seen| match seen.method.as_str() {
            "HEAD" => Answer::text("", "").status(404),
            _ => Answer::json(&ErrorBody::new(code, "the server's words")).status(status),
        })
        .await;
        let ran = told(&fake, &mut promote(&fake, &file, &[]), folder.path()).await;
        assert_eq!(ran.code, Some(exit), "{ran:?}");
        assert!(fake.seen().iter().all(|seen| seen.path.starts_with("/models/")), "nothing is promoted");
    }
    // Something else arrived than was sent.
    let fake = Fake::start(|seen: &Seen| match seen.method.as_str() {
        "HEAD" => Answer::text("", "").status(404),
        _ => Answer::json(&json!({ "success": true, "sha256": Digest::of(b"else"), "size": 4 })),
    })
    .await;
    let ran = told(&fake, &mut promote(&fake, &file, &[]), folder.path()).await;
    assert!(ran.code == Some(1) && ran.err.contains("nothing was promoted"), "{ran:?}");
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn on_a_terminal_there_is_a_bar() {
    let folder = folder();
    let (file, _) = model_file(folder.path(), "canonical_hex8_2p.pth");
    let fake = Fake::start(cluster(DistributionPhase::Complete)).await;
    let pty = Pty::new(100, 20);
    let mut screen = pty.screen();
    let mut command = promote(&fake, &file, &[]);
    command.env("TERM", "xterm").stdin(pty.stdio()).stdout(pty.stdio()).stderr(pty.stdio());
    let mut child = command.spawn().unwrap();
    // It waits without being told to.
    screen.until("canonical_hex8_2p.pth is on 2 of 3 nodes").await;
    screen.until("is on all 3 nodes, after 12.3 s").await;
    assert!(in_time(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn files_are_validated_and_left_alone() {
    let folder = folder();
    let (good, sha256) = model_file(folder.path(), "good.pth");
    fs::write(folder.path().join("good.pth.sha256"), format!("{sha256}  good.pth\n")).unwrap();
    let (other, _) = model_file(folder.path(), "other.pth");
    fs::write(folder.path().join("other.pth.sha256"), format!("{}  other.pth\n", Digest::of(b"x"))).unwrap();
    let (cut, _) = model_file(folder.path(), "cut.pth");
    fs::write(&cut, &archive()[..2000]).unwrap();
    let missing = folder.path().join("missing.pth");
    let mut command = command();
    command.args(["models", "validate"]).args([&good, &other, &cut, &missing]);
    let mut told = ran(&mut command, "").await;
    told.out = told.out.replace(folder.path().to_str().unwrap(), "DIR").replace("  ", " ");
    while told.out.contains("  ") {
        told.out = told.out.replace("  ", " ");
    }
    insta::assert_snapshot!("validate", told.told());
    assert_eq!(fs::read(&cut).unwrap().len(), 2000);
    let mut one = crate::ctl::command();
    let json = ran(one.args(["models", "validate", "--json"]).arg(&good), "").await;
    assert_eq!((json.json()["files"][0]["sha256"].clone(), json.code), (json!(sha256), Some(0)));
}
