//! Files that programs write where models lie: whose bytes win.

use std::{fs, io::Write as _, path::PathBuf};

use ringrift_api::{ManifestState, NodeManifest};
use ringrift_blob::{BlobHasher, CHUNK};

use crate::{
    bed::{HEX, digest, everywhere, give_everybody, next_event, noise, of_node, path_of, promote, record, upload},
    cluster::Cluster,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_program_writes_is_everybodys_where_that_is_watched_and_set_back_elsewhere() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    for node in &mut cluster.nodes {
        node.extra = vec!["--models-watch".into(), (node.name == "n2").to_string()];
    }
    cluster.start();
    cluster.formed().await;
    give_everybody(&cluster, 0, &noise(30, 1_000_000)).await;

    // By rename, as a careful trainer does.
    let renamed = noise(31, 1_200_000);
    let temporary = cluster.nodes[1].dir.join("models/.new");
    fs::write(&temporary, &renamed).unwrap();
    fs::rename(&temporary, path_of(&cluster, 1)).unwrap();
    everywhere(&cluster, digest(&renamed)).await;

    // In place, in two halves.
    let written = noise(32, 1_100_000);
    let mut file = fs::File::create(path_of(&cluster, 1)).unwrap();
    file.write_all(&written[..500_000]).unwrap();
    file.sync_all().unwrap();
    file.write_all(&written[500_000..]).unwrap();
    drop(file);
    let current = digest(&written);
    everywhere(&cluster, current).await;
    let entry = record(&cluster.client(2)).await.unwrap();
    assert_eq!((entry.source.as_str(), entry.by.as_str()), ("n2", "a program on n2"));
    assert_eq!(entry.history.len(), 2, "no half of a file was promoted");

    let foreign = noise(33, 900_000);
    fs::write(path_of(&cluster, 2), &foreign).unwrap();
    let kept = |manifest: NodeManifest| {
        manifest.files.iter().any(|f| f.sha256 == digest(&foreign) && f.state == ManifestState::Kept).then_some(())
    };
    let client = cluster.client(2);
    cluster.until("the foreign bytes to be kept", async || of_node(&client, "n3").await.and_then(kept)).await;
    everywhere(&cluster, current).await;
    assert_eq!(record(&client).await.unwrap().generation, entry.generation, "it was not promoted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_file_of_a_node_that_starts_for_the_first_time_is_not_promoted() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    cluster.nodes[1].extra = vec!["--models-watch".into(), "true".into()];
    cluster.start_node(0);
    cluster.start_node(2);
    cluster.formed().await;
    let sha256 = upload(&cluster, 0, &noise(40, 1_000_000)).await;
    let promoted = promote(&cluster, 0, sha256).await.unwrap();
    let client = cluster.client(2);
    cluster.until("n3 to know", async || record(&client).await).await;
    cluster.kill(0);
    cluster.kill(2);

    // It comes up alone: as far as it knows, nothing is agreed on, and this is the first file of that name.
    let stale = noise(41, 800_000);
    fs::create_dir_all(path_of(&cluster, 1).parent().unwrap()).unwrap();
    fs::write(path_of(&cluster, 1), &stale).unwrap();
    cluster.start_node(1);
    cluster
        .until("n2 to see the file", async || {
            cluster.log(1).contains("a program of this node wrote another file there").then_some(())
        })
        .await;
    cluster.start_node(0);
    cluster.start_node(2);
    everywhere(&cluster, sha256).await;
    let client = cluster.client(1);
    let kept = |manifest: NodeManifest| {
        manifest.files.iter().any(|f| f.sha256 == digest(&stale) && f.state == ManifestState::Kept).then_some(())
    };
    cluster.until("the stale file to be kept", async || of_node(&client, "n2").await.and_then(kept)).await;
    let entry = record(&client).await.unwrap();
    assert_eq!((entry.sha256, entry.generation), (sha256, promoted.generation));
    assert!(entry.history.is_empty(), "{:?}", entry.history);
    // Where a person finds it, and by a copy that is never collected.
    let event = next_event(&cluster, 1, 0, "MODEL_SET_ASIDE").await;
    assert_eq!(fs::read(event.details["path"].as_str().unwrap()).unwrap(), stale);
    // Had it asked for that between the election and its own catching up, the leader would have refused.
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.update(&stale);
    let wish = serde_json::json!({
        "name": HEX, "blob": hasher.finish(), "elo": null, "source": "n2", "by": "a program on n2", "force": false,
        "over": 0,
    });
    let (status, answer) =
        cluster.raw(1, true, "POST", "/api/models/commit", &serde_json::to_vec(&wish).unwrap()).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(status, 409, "{answer}");
    assert!(answer.contains("became"), "{answer}");
    assert_eq!(record(&client).await.unwrap().generation, promoted.generation);
}

fn rename_into_place(cluster: &Cluster, index: usize, bytes: &[u8]) {
    let temporary = cluster.nodes[index].dir.join("models/.new");
    fs::write(&temporary, bytes).unwrap();
    fs::rename(&temporary, path_of(cluster, index)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_written_without_a_daemon_wins_over_the_version_it_replaced_and_over_no_later_one() {
    let mut cluster = Cluster::new(3, 0).unhurried();
    cluster.nodes[1].extra = vec!["--models-watch".into(), "true".into()];
    cluster.start();
    cluster.formed().await;
    give_everybody(&cluster, 0, &noise(44, 1_000_000)).await;

    // Nothing was agreed on meanwhile: it is the next version.
    cluster.terminate(1);
    let next = noise(45, 900_000);
    rename_into_place(&cluster, 1, &next);
    cluster.start_node(1);
    everywhere(&cluster, digest(&next)).await;

    // Another version was.
    cluster.terminate(1);
    let (late, agreed) = (noise(46, 800_000), noise(47, 1_100_000));
    rename_into_place(&cluster, 1, &late);
    let sha256 = upload(&cluster, 0, &agreed).await;
    let generation = promote(&cluster, 0, sha256).await.unwrap().generation;
    cluster.start_node(1);
    let event = next_event(&cluster, 0, 0, "MODEL_SET_ASIDE").await;
    everywhere(&cluster, sha256).await;
    let told = |key: &str| event.details[key].as_str().unwrap().to_owned();
    assert_eq!((event.node_id.unwrap().as_str(), told("config_key")), ("n2", "hex8_2p".to_owned()));
    assert_eq!(told("sha256"), digest(&late).to_string());
    let aside = PathBuf::from(told("path"));
    assert_eq!(fs::read(&aside).unwrap(), late);
    assert_eq!(aside.parent(), path_of(&cluster, 1).parent(), "beside the model");
    let warned = format!("a program here wrote {} before this node knew", digest(&late));
    assert!(cluster.log(1).contains(&warned), "{}", cluster.log(1));
    let entry = record(&cluster.client(0)).await.unwrap();
    assert_eq!((entry.sha256, entry.generation, entry.history.len()), (sha256, generation, 2));

    // What is written from now on was written over what is agreed.
    let third = noise(48, 700_000);
    rename_into_place(&cluster, 1, &third);
    everywhere(&cluster, digest(&third)).await;
    assert_eq!(fs::read(&aside).unwrap(), late);
}
