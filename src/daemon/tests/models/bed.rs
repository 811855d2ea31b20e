//! What the tests do to a cluster, and what they wait for.

use std::{fs, io::Cursor, path::PathBuf, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use ringrift_api::{
    Client, ClientError, ClusterManifest, DistributionPhase, ErrorCode, Event, Followed, ModelChanged, ModelEntry,
    NodeManifest, PromoteRequest, Sent, Upload,
};
use ringrift_blob::{BlobHasher, CHUNK, Digest, ModelName};

use crate::cluster::Cluster;

pub(crate) const HEX: &str = "canonical_hex8_2p.pth";

/// Longer than a distribution waits for a node that is dead.
pub(crate) const BEYOND_THE_DEAD: Duration = Duration::from_mins(3);

/// Bytes that no other seed gives.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    SmallRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.update(bytes);
    hasher.finish().sha256
}

pub(crate) fn hex() -> ModelName {
    HEX.parse().unwrap()
}

pub(crate) fn path_of(cluster: &Cluster, index: usize) -> PathBuf {
    cluster.nodes[index].dir.join("models").join(HEX)
}

pub(crate) async fn upload(cluster: &Cluster, index: usize, bytes: &[u8]) -> Digest {
    let server = cluster.operator(index).at_port(8767);
    let upload = Upload { name: hex(), size: bytes.len() as u64, sha256: digest(bytes) };
    server.upload_model(&upload, Cursor::new(bytes.to_vec()), &Sent::default()).await.unwrap().sha256
}

/// Asks again while there is no leader: on a busy machine one is lost now and then.
pub(crate) async fn led<T>(
    cluster: &Cluster,
    mut ask: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    cluster
        .until("a leader to answer", async || match ask().await {
            Err(error) if error.is_passing() || error.code() == Some(ErrorCode::NoLeader) => None,
            answer => Some(answer),
        })
        .await
}

pub(crate) async fn promote(cluster: &Cluster, index: usize, sha256: Digest) -> Result<ModelChanged, ClientError> {
    let request = PromoteRequest {
        name: Some(hex()),
        config: None,
        sha256,
        elo: Some(1612.5),
        by: Some("test".into()),
        force: false,
    };
    led(cluster, async || cluster.operator(index).promote_model(&request).await).await
}

pub(crate) async fn record(client: &Client) -> Option<ModelEntry> {
    client.models().await.ok()?.models.into_iter().find(|model| model.name == hex())
}

pub(crate) async fn of_node(client: &Client, node: &str) -> Option<NodeManifest> {
    let manifest: ClusterManifest = client.models_manifest().await.ok()?;
    manifest.nodes.into_iter().find(|manifest| manifest.node_id.as_str() == node)
}

/// Waits until every running node says that these bytes are everywhere, and has them under their name. The sidecar and the link come
/// a moment after the file, and are never wrong.
pub(crate) async fn everywhere(cluster: &Cluster, sha256: Digest) {
    let at = |i: usize| {
        let dir = cluster.nodes[i].dir.join("models");
        let link = fs::read_link(dir.join("ringrift_best_hex8_2p.pth")).ok()?;
        assert_eq!(link.to_str(), Some(HEX));
        let sidecar = fs::read_to_string(dir.join(format!("{HEX}.sha256"))).ok()?;
        let held = digest(&fs::read(dir.join(HEX)).ok()?) == sha256;
        (held && sidecar.trim_end() == format!("{sha256}  {HEX}")).then_some(())
    };
    cluster
        .until(&format!("{sha256} to be everywhere"), async || {
            for i in (0..cluster.nodes.len()).filter(|i| cluster.is_running(*i)) {
                let record = record(&cluster.client(i)).await?;
                let complete = record.distribution.state == DistributionPhase::Complete;
                (record.sha256 == sha256 && complete).then_some(())?;
                at(i)?;
            }
            Some(())
        })
        .await;
}

pub(crate) async fn give_everybody(cluster: &Cluster, index: usize, bytes: &[u8]) -> Digest {
    let sha256 = upload(cluster, index, bytes).await;
    promote(cluster, index, sha256).await.unwrap();
    everywhere(cluster, sha256).await;
    sha256
}

pub(crate) async fn model_events(cluster: &Cluster, index: usize) -> Vec<Event> {
    let page: ringrift_api::EventPage = cluster.client(index).get_json("/api/events?since=0").await.unwrap();
    page.events.into_iter().filter(|event| event.kind.starts_with("MODEL_")).collect()
}

/// Waits for the next event of a kind after `since`, for as long as a distribution may take.
pub(crate) async fn next_event(cluster: &Cluster, index: usize, since: u64, kind: &str) -> Event {
    let mut stream = cluster.client(index).stream_events(since, Some(kind)).await.unwrap();
    let next = async {
        loop {
            if let Followed::Event(event) = stream.next().await.unwrap() {
                return event;
            }
        }
    };
    tokio::time::timeout(BEYOND_THE_DEAD, next).await.unwrap_or_else(|_| {
        cluster.print_logs();
        panic!("no {kind} came")
    })
}

pub(crate) fn keys(event: &Event) -> Vec<&str> {
    let mut keys: Vec<&str> = event.details.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn fetches(cluster: &Cluster, index: usize, sha256: &Digest) -> usize {
    cluster.log(index).lines().filter(|line| line.contains(&format!("fetched {sha256}"))).count()
}
