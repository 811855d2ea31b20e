//! The routes on 8770 that old clients read models by: `/files/list`, `/files/info`, `/files/models/{path}`, `/models/inventory`.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use http::{HeaderMap, Method};
use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use ringrift_store::Store;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::{
    answer::{ASK_AGAIN, Representation},
    body::Passage,
    error::HttpError,
    objects::{Objects, panicked},
};

/// The only type of files that is served.
const MODELS: &str = "models";

#[derive(Debug)]
struct Files {
    node: NodeId,
    store: Store,
    objects: Objects,
}

/// A model that is published and here.
#[derive(Debug)]
struct Model {
    name: ModelName,
    sha256: Digest,
    size: u64,
    modified: SystemTime,
}

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(rename = "type")]
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    files: Vec<File>,
    count: usize,
    node_id: NodeId,
}

#[derive(Debug, Serialize)]
struct File {
    #[serde(rename = "type")]
    kind: &'static str,
    path: ModelName,
    size: u64,
    url: String,
}

#[derive(Debug, Serialize)]
struct Info {
    #[serde(flatten)]
    file: File,
    /// Seconds since the epoch.
    modified: f64,
    sha256: Digest,
}

#[derive(Debug, Serialize)]
struct Inventory {
    node_id: NodeId,
    models: Vec<Entry>,
    count: usize,
}

#[derive(Debug, Serialize)]
struct Entry {
    path: ModelName,
    #[serde(rename = "type")]
    kind: &'static str,
    board_type: Option<String>,
    num_players: Option<u32>,
    size_bytes: u64,
    /// Seconds since the epoch.
    modified: f64,
    hash: Digest,
}

/// The four routes. They hand out files: whoever mounts them demands the token first.
pub fn router<S: Clone + Send + Sync + 'static>(store: Store, node: NodeId) -> Router<S> {
    let files = Files { node, objects: Objects::new(store.clone()), store };
    Router::new()
        .route("/files/list", get(list))
        .route("/files/info", get(info))
        .route("/files/models/{*path}", get(bytes))
        .route("/models/inventory", get(inventory))
        .with_state(Arc::new(files))
}

async fn list(State(files): State<Arc<Files>>, Query(asked): Query<Asked>) -> Result<Json<List>, HttpError> {
    check_kind(asked.kind.as_deref())?;
    let found: Vec<File> = files.models().await?.into_iter().map(|model| File::of(&model)).collect();
    Ok(Json(List { count: found.len(), files: found, node_id: files.node.clone() }))
}

async fn info(State(files): State<Arc<Files>>, Query(asked): Query<Asked>) -> Result<Json<Info>, HttpError> {
    check_kind(asked.kind.as_deref())?;
    let path = asked.path.ok_or_else(|| HttpError::BadRequest("the query needs `path`".into()))?;
    let name = name_of(&path)?;
    let model = files.models().await?.into_iter().find(|model| model.name == name);
    let model = model.ok_or_else(|| HttpError::NotFound(format!("no model {name} is published here")))?;
    Ok(Json(Info { file: File::of(&model), modified: seconds(model.modified), sha256: model.sha256 }))
}

async fn bytes(
    State(files): State<Arc<Files>>,
    method: Method,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Result<Response, HttpError> {
    let named = files.objects.by_name(&name_of(&path)?).await?;
    // Connections on 8770 may be streams of a link, which no kernel can send to by itself.
    let passage = Passage::Copied;
    Representation {
        labels: named.labels,
        object: named.object,
        modified: named.since,
        cache_control: ASK_AGAIN,
        passage,
    }
    .answer(&method, &headers, SystemTime::now())
}

async fn inventory(State(files): State<Arc<Files>>) -> Result<Json<Inventory>, HttpError> {
    let models: Vec<Entry> = files.models().await?.into_iter().map(Entry::of).collect();
    Ok(Json(Inventory { node_id: files.node.clone(), count: models.len(), models }))
}

impl Files {
    async fn models(&self) -> Result<Vec<Model>, HttpError> {
        let store = self.store.clone();
        spawn_blocking(move || models(&store)).await.map_err(|error| panicked(&error))
    }
}

/// What is published, without what is being fetched again.
fn models(store: &Store) -> Vec<Model> {
    let holdings = store.holdings();
    let folder = &store.config().models;
    let published = store.published().into_iter().filter_map(|model| {
        let held = holdings.iter().find(|held| held.sha256 == model.sha256)?;
        let written = std::fs::metadata(folder.join(model.name.as_str())).and_then(|file| file.modified());
        let verified = || UNIX_EPOCH + std::time::Duration::from_millis(held.verified_at_ms);
        let modified = written.unwrap_or_else(|_| verified());
        Some(Model { name: model.name, sha256: model.sha256, size: held.size, modified })
    });
    published.collect()
}

impl File {
    fn of(model: &Model) -> Self {
        let url = format!("/files/models/{}", model.name);
        Self { kind: MODELS, path: model.name.clone(), size: model.size, url }
    }
}

impl Entry {
    fn of(model: Model) -> Self {
        let board = model.name.board_and_players();
        let (board_type, num_players) = (board.map(|(board, _)| board.to_owned()), board.map(|(_, players)| players));
        Self {
            kind: if board.is_some() { "canonical" } else { "other" },
            board_type,
            num_players,
            size_bytes: model.size,
            modified: seconds(model.modified),
            hash: model.sha256,
            path: model.name,
        }
    }
}

/// Old clients write a path with or without its folder.
fn name_of(path: &str) -> Result<ModelName, HttpError> {
    Ok(path.strip_prefix("models/").unwrap_or(path).parse()?)
}

fn check_kind(kind: Option<&str>) -> Result<(), HttpError> {
    match kind {
        None | Some(MODELS) => Ok(()),
        Some(other) => Err(HttpError::BadRequest(format!("no files of type {other:?} are served here, only models"))),
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
