//! Who gets what is agreed on, and when it counts as everywhere.

use std::fs;

use ringrift_api::{DistributeRequest, DistributionPhase, ManifestState, NodeManifest, RemoveRequest, RollbackRequest};
use ringrift_blob::Digest;
use serde_json::Value;

use crate::{
    bed::{
        HEX, digest, everywhere, fetches, give_everybody, hex, keys, led, model_events, next_event, noise, of_node,
        path_of, promote, record, upload,
    },
    cluster::Cluster,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_is_complete_when_every_node_has_verified_it_and_a_rollback_fetches_nothing() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.start();
    cluster.formed().await;
    let first = give_everybody(&cluster, 3, &noise(1, 3_000_000)).await;

    let events = model_events(&cluster, 1).await;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["MODEL_PROMOTED", "MODEL_DISTRIBUTION_STARTED", "MODEL_DISTRIBUTION_COMPLETE"]);
    let [promoted, started, complete] = events.as_slice() else { panic!("{kinds:?}") };
    assert_eq!(
        keys(promoted),
        ["board_type", "config_key", "elo", "model_id", "model_path", "num_players", "sha256", "timestamp"]
    );
    let told = &promoted.details;
    assert_eq!((told["board_type"].as_str(), told["num_players"].as_u64()), (Some("hex8"), Some(2)));
    assert_eq!((told["config_key"].as_str(), told["elo"].as_f64()), (Some("hex8_2p"), Some(1612.5)));
    assert_eq!(keys(started), ["config_key", "model_id", "sha256"]);
    assert_eq!(
        keys(complete),
        ["config_key", "duration_seconds", "model_id", "nodes_failed", "nodes_succeeded", "sha256"]
    );
    assert_eq!(complete.details["nodes_succeeded"], serde_json::json!(["n1", "n2", "n3", "n4"]));
    assert_eq!(complete.details["nodes_failed"], serde_json::json!([]));
    for event in &events {
        assert_eq!(event.details["sha256"], first.to_string(), "{}", event.kind);
    }
    // The leader knew that all have verified it; the others hear of it by gossip, a moment later.
    for i in 0..4 {
        for node in ["n1", "n2", "n3", "n4"] {
            let file = cluster
                .until("the manifest", async || {
                    let manifest = of_node(&cluster.client(i), node).await?;
                    let file = manifest.files.into_iter().find(|file| file.sha256 == first)?;
                    (file.state == ManifestState::Verified).then_some(file)
                })
                .await;
            assert_eq!(file.have_bytes, 3_000_000, "{node}");
            assert!(file.verified_at.is_some(), "{node}");
        }
    }

    let of_model = format!("{{model=\"{HEX}\"");
    let lines = [
        "ringrift_models_promoted 1.0".to_owned(),
        format!("ringrift_model_distribution_state{of_model},state=\"complete\"}} 1.0"),
        format!("ringrift_model_distribution_state{of_model},state=\"failed\"}} 0.0"),
        format!("ringrift_model_nodes_verified{of_model}}} 4.0"),
        format!("ringrift_model_nodes_eligible{of_model}}} 4.0"),
        "ringrift_node_models_verified{node=\"n4\"} 1.0".to_owned(),
        "ringrift_node_models_have_bytes{node=\"n1\"} 3000000.0".to_owned(),
        "ringrift_node_models_wanted_bytes{node=\"n1\"} 3000000.0".to_owned(),
        "ringrift_node_models_fetch_bytes_per_second{node=\"n3\"} ".to_owned(),
        "ringrift_node_models_free_bytes{node=\"n3\"} ".to_owned(),
        "ringrift_node_models_disk_full{node=\"n3\"} 0.0".to_owned(),
        "ringrift_node_models_stuck{node=\"n3\"} 0.0".to_owned(),
        "ringrift_node_models_usable{node=\"n3\"} 1.0".to_owned(),
    ];
    cluster
        .until("the metrics of it", async || {
            let text = String::from_utf8(cluster.client(1).get_bytes("/metrics").await.ok()?.to_vec()).unwrap();
            lines.iter().all(|line| text.lines().any(|found| found.starts_with(line))).then_some(())
        })
        .await;
    let health: Value = cluster.client(1).get_json("/health").await.unwrap();
    let models = health["components"].as_array().unwrap().iter().find(|c| c["name"] == "models").unwrap();
    assert_eq!(
        (models["status"].as_str(), models["message"].as_str()),
        (Some("ok"), Some("1 of 1 models")),
        "{models}"
    );

    // Asked for again, nothing happens: it is current.
    assert!(!promote(&cluster, 3, first).await.unwrap().changed);
    assert_eq!(model_events(&cluster, 3).await.len(), 3);

    let second = give_everybody(&cluster, 0, &noise(2, 2_000_000)).await;
    let before: Vec<usize> = (0..4).map(|i| fetches(&cluster, i, &first)).collect();
    let back = RollbackRequest { name: Some(hex()), ..RollbackRequest::default() };
    let changed = led(&cluster, async || cluster.operator(2).roll_back_model(&back).await).await.unwrap();
    assert_eq!((changed.sha256, changed.changed), (first, true));
    everywhere(&cluster, first).await;
    let after: Vec<usize> = (0..4).map(|i| fetches(&cluster, i, &first)).collect();
    assert_eq!(before, after, "a rollback fetched bytes");
    assert_eq!(before, [1, 1, 1, 0], "each that lacked it fetched it once");
    let history: Vec<Digest> = record(&cluster.client(1)).await.unwrap().history.iter().map(|v| v.sha256).collect();
    assert_eq!(history, [second, first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_promotions_of_one_name_in_a_race_end_the_same_everywhere() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.start();
    cluster.formed().await;
    for round in 0..3_u64 {
        let (one, other) = (noise(10 + 2 * round, 1_500_000), noise(11 + 2 * round, 1_500_000));
        // The files differ on the two nodes before anything is agreed on.
        let (one, other) = tokio::join!(upload(&cluster, 1, &one), upload(&cluster, 3, &other));
        let (first, second) = tokio::join!(promote(&cluster, 1, one), promote(&cluster, 3, other));
        let (first, second) = (first.unwrap(), second.unwrap());
        // The later in the log. Not the last event that some node shows: it may not have come there yet.
        let winner = if first.generation > second.generation { first.sha256 } else { second.sha256 };
        assert!([one, other].contains(&winner));
        everywhere(&cluster, winner).await;
        let entry = record(&cluster.client(2)).await.unwrap();
        assert_eq!(entry.generation, first.generation.max(second.generation));
        let loser = if winner == one { other } else { one };
        assert_eq!(entry.history[0].sha256, loser, "the loser can be rolled back to");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_late_catches_up() {
    let mut cluster = Cluster::with_hosts(3, 1, |node| match node {
        "n4" => "    p2p_enabled: false\n".to_owned(),
        _ => String::new(),
    })
    .unhurried();
    for i in 0..3 {
        cluster.start_node(i);
    }
    cluster.formed().await;
    let sha256 = give_everybody(&cluster, 0, &noise(20, 2_000_000)).await;
    let told = model_events(&cluster, 0).await.len();

    let voters: Vec<String> = ["n1", "n2", "n3"].map(str::to_owned).into();
    cluster.write_hosts(&cluster.hosts_text(&voters, |_| String::new()));
    for i in 0..3 {
        cluster.signal(i, "HUP");
    }
    cluster.start_node(3);
    everywhere(&cluster, sha256).await;
    let client = cluster.client(0);
    cluster
        .until("the others to know", async || {
            let entry = record(&client).await?;
            (entry.nodes_holding == 4 && entry.nodes_eligible == 4).then_some(())
        })
        .await;
    assert_eq!(model_events(&cluster, 0).await.len(), told, "nobody is told of a late one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_distribution_makes_every_node_hash_its_copy_again() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    cluster.start();
    cluster.formed().await;
    let sha256 = give_everybody(&cluster, 1, &noise(60, 1_000_000)).await;
    let client = cluster.client(0);
    let verified_at = async || {
        let manifest = client.models_manifest().await.ok()?;
        let current = |node: &NodeManifest| node.files.iter().find(|f| f.sha256 == sha256)?.verified_at;
        manifest.nodes.iter().map(current).collect::<Option<Vec<f64>>>()
    };
    let before = verified_at().await.unwrap();
    let again = DistributeRequest { model: Some(hex()), force: true, ..DistributeRequest::default() };
    let started = led(&cluster, async || cluster.operator(2).distribute_models(&again).await).await.unwrap();
    let generation = started.models[0].distribution_generation;
    cluster
        .until("it to be complete again", async || {
            let entry = record(&client).await?;
            let done = entry.distribution.state == DistributionPhase::Complete;
            (done && entry.distribution.generation == generation).then_some(())
        })
        .await;
    let after = verified_at().await.unwrap();
    assert!(before.iter().zip(&after).all(|(before, after)| before < after), "{before:?} {after:?}");
    let (status, _) =
        cluster.raw(0, true, "POST", "/api/models/distribute", br#"{"model":"canonical_hex8_3p.pth"}"#).await;
    assert_eq!(status, 404);
    // A link's or a sidecar's name could never be published, and would stay among the models.
    for name in ["ringrift_best_hex8_2p.pth", "canonical_hex8_2p.pth.sha256"] {
        let body = format!(r#"{{"name":"{name}","sha256":"{sha256}"}}"#);
        let (status, answer) = cluster.raw(1, true, "POST", "/api/models/promote", body.as_bytes()).await;
        assert_eq!(status, 400, "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(client.models().await.unwrap().models.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_only_dials_out_gets_models_and_serves_them() {
    let mut cluster = Cluster::with_hosts(3, 1, |node| match node {
        "n4" => "    nat_blocked: true\n".to_owned(),
        _ => String::new(),
    })
    .unhurried();
    // Nobody could dial its model server if somebody tried.
    cluster.nodes[3].extra = ["--models-port", "none", "--models-watch", "true"].map(str::to_owned).into();
    cluster.start();
    cluster.formed().await;
    give_everybody(&cluster, 0, &noise(70, 2_000_000)).await;
    // Now it is the only one that has the bytes.
    let own = noise(71, 2_500_000);
    let temporary = cluster.nodes[3].dir.join("models/.new");
    fs::write(&temporary, &own).unwrap();
    fs::rename(&temporary, path_of(&cluster, 3)).unwrap();
    everywhere(&cluster, digest(&own)).await;
    assert_eq!(record(&cluster.client(0)).await.unwrap().source.as_str(), "n4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_model_is_taken_away_on_every_node_and_comes_back_by_a_promotion_alone() {
    let mut cluster = Cluster::new(3, 1).unhurried();
    cluster.nodes[3].extra = vec!["--models-watch".into(), "true".into()];
    cluster.start();
    cluster.formed().await;
    let bytes = noise(65, 1_000_000);
    let sha256 = give_everybody(&cluster, 0, &bytes).await;

    // A node that is off meanwhile, and a program that goes on there.
    cluster.terminate(3);
    let late = noise(66, 500_000);
    fs::write(path_of(&cluster, 3), &late).unwrap();
    let request = RemoveRequest { name: Some(hex()), ..RemoveRequest::default() };
    let removed = led(&cluster, async || cluster.operator(2).remove_model(&request).await).await.unwrap();
    assert_eq!(removed.sha256, sha256);
    let gone = async |nodes: &[usize]| {
        let names = |i: usize| {
            let link = "ringrift_best_hex8_2p.pth".to_owned();
            [HEX.to_owned(), format!("{HEX}.sha256"), link].map(|name| cluster.nodes[i].dir.join("models").join(name))
        };
        let none = |i: &usize| names(*i).iter().all(|path| path.symlink_metadata().is_err());
        cluster.until("the name to be gone", async || nodes.iter().all(none).then_some(())).await;
    };
    gone(&[0, 1, 2]).await;
    cluster
        .until("nobody to show it", async || cluster.client(0).models().await.ok()?.models.is_empty().then_some(()))
        .await;
    let event = next_event(&cluster, 0, 0, "MODEL_REMOVED").await;
    assert_eq!(keys(&event), ["config_key", "model_id", "sha256"]);
    let kept = |manifest: NodeManifest| {
        manifest.files.iter().any(|file| file.sha256 == sha256 && file.state == ManifestState::Kept).then_some(())
    };
    cluster.until("the bytes to be kept", async || of_node(&cluster.client(0), "n2").await.and_then(kept)).await;
    let again = led(&cluster, async || cluster.operator(1).remove_model(&request).await).await;
    assert!(again.is_err(), "{again:?}");

    cluster.start_node(3);
    let aside = next_event(&cluster, 0, 0, "MODEL_SET_ASIDE").await;
    assert_eq!(aside.node_id.as_ref().unwrap().as_str(), "n4");
    assert_eq!(fs::read(aside.details["path"].as_str().unwrap()).unwrap(), late);
    let client = cluster.client(3);
    cluster.until("n4 to know", async || client.models().await.ok()?.models.is_empty().then_some(())).await;
    let gone = cluster.nodes[3].dir.join("models").join(HEX);
    cluster.until("the name to be gone on n4", async || (!gone.exists()).then_some(())).await;

    let before: Vec<usize> = (0..4).map(|i| fetches(&cluster, i, &sha256)).collect();
    let promoted = promote(&cluster, 1, sha256).await.unwrap();
    assert!(promoted.generation > removed.generation);
    everywhere(&cluster, sha256).await;
    let after: Vec<usize> = (0..4).map(|i| fetches(&cluster, i, &sha256)).collect();
    assert_eq!(before, after, "the bytes were here");
    assert!(record(&cluster.client(0)).await.unwrap().history.is_empty());
}
