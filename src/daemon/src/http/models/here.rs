//! The files of the asked node.

use axum::{Json, extract::State};
use bytes::Bytes;
use ringrift_api::{GcItem, GcReport, GcRequest, LinkReport, ModelLink, VerifiedFile, VerifyReport, VerifyRequest};
use ringrift_blob::{BlobHasher, CHUNK, Digest, ModelName};
use ringrift_store::{Store, StoreError};

use super::{blocking, unknown};
use crate::{
    http::{error::ApiError, operations::optional_json},
    models,
    node::Shared,
    view::epoch_seconds,
};

/// Hashes the asked node's models now, whatever it believes about them.
#[utoipa::path(post, path = "/api/models/verify", tag = "models", request_body = VerifyRequest,
    responses((status = 200, body = VerifyReport), (status = 401), (status = 404), (status = 503)))]
pub(crate) async fn verify(State(shared): State<Shared>, body: Bytes) -> Result<Json<VerifyReport>, ApiError> {
    let request: VerifyRequest = optional_json(&body)?;
    let models = shared.models()?.clone();
    let agreed = shared.agreement.agreed();
    let wanted: Vec<(ModelName, Digest)> = agreed
        .state
        .models
        .iter()
        .filter(|(name, _)| request.model.as_ref().is_none_or(|one| one == *name))
        .map(|(name, record)| (name.clone(), record.current.sha256))
        .collect();
    if let (Some(model), true) = (&request.model, wanted.is_empty()) {
        return Err(unknown(model));
    }
    let store = models.store.clone();
    let files: Vec<VerifiedFile> =
        blocking(move || wanted.into_iter().map(|(name, expected)| verified(&store, name, expected)).collect()).await?;
    // What is wrong is set right now and not at the next look.
    if files.iter().any(|file| !file.ok) {
        models.engine.recheck();
        models.look_now();
    }
    let success = files.iter().all(|file| file.ok);
    Ok(Json(VerifyReport { success, node_id: shared.node().clone(), files, timestamp: epoch_seconds() }))
}

fn verified(store: &Store, name: ModelName, expected: Digest) -> VerifiedFile {
    let began = std::time::Instant::now();
    let stored = store.verify(&expected);
    let path = store.config().models.join(name.as_str());
    let (found, size, message) = match &stored {
        Ok(stored) if stored.names.contains(&name) => (Some(expected), stored.size, String::new()),
        Ok(_) | Err(StoreError::Unknown(_)) => match digest_of(&path) {
            Ok((found, size)) if found == expected => {
                (Some(found), size, "it is right, and not published by this node yet".to_owned())
            }
            Ok((found, size)) => (Some(found), size, "other bytes are under the name; they are replaced".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, 0, "it is not there yet".to_owned()),
            Err(error) => (None, 0, format!("cannot read {}: {error}", path.display())),
        },
        Err(error) => (None, 0, error.to_string()),
    };
    let ok = message.is_empty();
    VerifiedFile { name, expected, found, size, ok, message, seconds: began.elapsed().as_secs_f64() }
}

/// The digest and the size of whatever lies at a path.
fn digest_of(path: &std::path::Path) -> std::io::Result<(Digest, u64)> {
    let mut hasher = BlobHasher::new(CHUNK);
    hasher.read_from(std::fs::File::open(path)?, |_| {})?;
    let blob = hasher.finish();
    Ok((blob.sha256, blob.size))
}

/// Removes stored versions of the asked node that nothing needs.
#[utoipa::path(post, path = "/api/models/gc", tag = "models", request_body = GcRequest,
    responses((status = 200, body = GcReport), (status = 401), (status = 503)))]
pub(crate) async fn gc(State(shared): State<Shared>, body: Bytes) -> Result<Json<GcReport>, ApiError> {
    let request: GcRequest = optional_json(&body)?;
    let store = shared.models()?.store.clone();
    let agreed = shared.agreement.agreed();
    let in_use = models::in_use(&agreed.state);
    let (before, collected) = blocking(move || {
        let before = store.holdings();
        let collected = if request.dry_run { Ok(store.would_collect(&in_use)) } else { store.gc(&in_use) };
        (before, collected)
    })
    .await?;
    let collected = collected.map_err(|e| ApiError::Internal(e.to_string()))?;
    let item = |sha256: &Digest, reason: &str| {
        let once = agreed.state.models.iter().filter(|(_, record)| record.promotion_of(sha256).is_some());
        GcItem {
            sha256: *sha256,
            size: before.iter().find(|held| held.sha256 == *sha256).map_or(0, |held| held.size),
            names: once.map(|(name, _)| name.clone()).collect(),
            reason: reason.to_owned(),
        }
    };
    let objects = collected.objects.iter().map(|sha256| item(sha256, "an old version, by number or age"));
    let partials = collected.partials.iter().map(|sha256| item(sha256, "a fetch that nobody goes on with"));
    let removed: Vec<GcItem> = objects.chain(partials).collect();
    let kept = before.iter().filter(|held| !collected.objects.contains(&held.sha256));
    Ok(Json(GcReport {
        success: true,
        node_id: shared.node().clone(),
        dry_run: request.dry_run,
        freed_bytes: collected.bytes,
        kept: kept.clone().count() as u32,
        kept_bytes: kept.map(|held| held.size).sum(),
        removed,
    }))
}

/// Makes the links `ringrift_best_*` of the asked node right.
#[utoipa::path(post, path = "/api/models/link", tag = "models",
    responses((status = 200, body = LinkReport), (status = 401), (status = 503)))]
pub(crate) async fn link(State(shared): State<Shared>) -> Result<Json<LinkReport>, ApiError> {
    let store = shared.models()?.store.clone();
    let agreed = shared.agreement.agreed();
    let wanted: Vec<(ModelName, Digest)> =
        agreed.state.models.iter().map(|(name, record)| (name.clone(), record.current.sha256)).collect();
    let links: Vec<ModelLink> = blocking(move || {
        let links = wanted.into_iter().filter_map(|(name, sha256)| Some((name.best_link()?, name, sha256)));
        links.map(|(link, name, sha256)| linked(&store, link, name, sha256)).collect()
    })
    .await?;
    let success = links.iter().all(|link| link.ok);
    Ok(Json(LinkReport { success, node_id: shared.node().clone(), links }))
}

fn linked(store: &Store, link: String, target: ModelName, sha256: Digest) -> ModelLink {
    let path = store.config().models.join(&link);
    let right = || std::fs::read_link(&path).is_ok_and(|to| to.as_os_str() == target.as_str());
    let before = right();
    let published = if before { Ok(()) } else { store.publish(&target, &sha256) };
    let ok = right();
    let message = match published {
        Err(error) => error.to_string(),
        Ok(()) if !ok => "the link could not be set right".to_owned(),
        Ok(()) if !before => "it did not lead there before".to_owned(),
        Ok(()) => String::new(),
    };
    ModelLink { link, target, ok, changed: ok && !before, message }
}
