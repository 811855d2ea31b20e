//! What is shown and asked for.

use ringrift_api::{Distributed, DistributionPhase, DistributionStarted, ErrorBody, ErrorCode, ModelRemoved};
use ringrift_blob::Digest;
use serde_json::Value;

use super::{changed, entry, hex8, list, progress};
use crate::{
    ctl::{command, ran, run},
    fake::{Answer, Fake, Seen},
};

#[tokio::test]
async fn models_are_listed_with_where_they_are_missing() {
    let models = vec![
        entry("hex8_2p", Digest::of(b"a"), DistributionPhase::Complete),
        entry("hex8_3p", Digest::of(b"b"), DistributionPhase::Running),
        entry("square8_2p", Digest::of(b"c"), DistributionPhase::Failed),
    ];
    let fake = Fake::start(move |_: &Seen| Answer::json(&list(models.clone()))).await;
    insta::assert_snapshot!("models_list", run(&fake, &["models", "list"]).await.told());
    insta::assert_snapshot!("models_history", run(&fake, &["models", "history"]).await.told());
    let one = run(&fake, &["models", "history", "hex8_3p", "--json"]).await.json();
    assert_eq!((one["models"].as_array().unwrap().len(), &one["models"][0]["config_key"]), (1, &"hex8_3p".into()));
    let none = run(&fake, &["models", "history", "hex8_4p"]).await;
    assert!(none.code == Some(1) && none.err.contains("no model canonical_hex8_4p.pth was promoted"), "{none:?}");
    let fake = Fake::start(|_: &Seen| Answer::json(&list(Vec::new()))).await;
    assert!(run(&fake, &["models", "list"]).await.out.contains("No model was promoted yet"));
}

#[tokio::test]
async fn a_rollback_names_the_version_or_the_one_before() {
    let fake = Fake::start(|_: &Seen| changed(Digest::of(b"old"), "is rolled back to")).await;
    let ran = run(&fake, &["models", "rollback", "canonical_hex8_2p.pth", "--to", "3F2A91C0"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let body: Value = serde_json::from_slice(&fake.seen()[0].body).unwrap();
    assert_eq!((&body["name"], &body["to"]), (&"canonical_hex8_2p.pth".into(), &"3f2a91c0".into()));
    run(&fake, &["models", "rollback", "hex8_2p"]).await;
    let body: Value = serde_json::from_slice(&fake.seen()[1].body).unwrap();
    assert_eq!(body["to"], Value::Null);
    assert_eq!(run(&fake, &["models", "rollback", "hex8_2p", "--to", "xyz"]).await.code, Some(2));
}

#[tokio::test]
async fn a_distribution_is_asked_for_of_one_model_or_all_and_of_one_node_or_all() {
    let sha256 = Digest::of(b"a");
    let fake = Fake::start(move |seen: &Seen| match seen.path.split('?').next().unwrap() {
        "/api/models/distribute" => Answer::json(&Distributed {
            success: true,
            models: vec![DistributionStarted {
                name: hex8(),
                sha256,
                distribution_generation: 7,
                state: DistributionPhase::Running,
            }],
            message: "1 model goes to all nodes again".to_owned(),
        }),
        "/api/models/progress" => Answer::json(&progress(sha256, 7, DistributionPhase::Running, 2)),
        _ => Answer::json(&list(vec![entry("hex8_2p", sha256, DistributionPhase::Running)])),
    })
    .await;
    let sent = |at: usize| serde_json::from_slice::<Value>(&fake.seen()[at].body).unwrap();
    assert_eq!(run(&fake, &["models", "distribute", "--all-canonical", "--force"]).await.code, Some(0));
    assert_eq!((&sent(0)["all"], &sent(0)["force"], &sent(0)["model"]), (&true.into(), &true.into(), &Value::Null));
    // beta has it, gpu-3 has not yet.
    let one = ["models", "distribute", "--model", "models/canonical_hex8_2p.pth", "--wait", "--wait-limit", "5"];
    let there = run(&fake, &[&one[..], &["--host", "beta"]].concat()).await;
    insta::assert_snapshot!("distribute_host", there.told());
    assert_eq!(sent(1)["host"], "beta");
    let stranger = run(&fake, &[&one[..], &["--host", "stranger"]].concat()).await;
    assert!(stranger.code == Some(1) && stranger.out.contains("not a node that shall have models"), "{stranger:?}");
    for bad in [&["models", "distribute"][..], &["models", "distribute", "--all-canonical", "--model", "hex8_2p"]] {
        assert_eq!(run(&fake, bad).await.code, Some(2), "{bad:?}");
    }
}

#[tokio::test]
async fn the_help_teaches() {
    for command_line in [&["models", "-h"][..], &["models", "promote", "--help"]] {
        let told = ran(command().args(command_line), "").await;
        insta::assert_snapshot!(format!("help_{}", command_line[1].trim_start_matches('-')), told.out);
    }
}

#[tokio::test]
async fn a_removal_is_meant() {
    let name = hex8();
    let fake = Fake::start(move |_: &Seen| {
        let message = format!("{name} is no model any more; every node takes its file away");
        Answer::json(&ModelRemoved {
            success: true,
            name: name.clone(),
            sha256: Digest::of(b"a"),
            generation: 9,
            message,
        })
    })
    .await;
    let unasked = run(&fake, &["models", "remove", "hex8_2p"]).await;
    insta::assert_snapshot!("remove_unasked", unasked.told());
    assert!(fake.seen().is_empty());

    let ran = run(&fake, &["models", "remove", "models/canonical_hex8_2p.pth", "--yes"]).await;
    insta::assert_snapshot!("remove", ran.told());
    let seen = &fake.seen()[0];
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((seen.path.as_str(), &body["name"]), ("/api/models/remove", &"canonical_hex8_2p.pth".into()));
    assert!(!body["by"].as_str().unwrap().is_empty());
    let json = run(&fake, &["models", "remove", "hex8_2p", "-y", "--json"]).await.json();
    assert_eq!((&json["success"], &json["generation"]), (&true.into(), &9.into()));

    let fake = Fake::start(|_: &Seen| {
        Answer::json(&ErrorBody::new(ErrorCode::NotFound, "no model canonical_hex8_4p.pth was promoted")).status(404)
    })
    .await;
    let unknown = run(&fake, &["models", "remove", "hex8_4p", "--yes"]).await;
    assert!(unknown.code == Some(1) && unknown.err.contains("no model canonical_hex8_4p.pth"), "{unknown:?}");
    assert_eq!(run(&fake, &["models", "remove"]).await.code, Some(2));
}
