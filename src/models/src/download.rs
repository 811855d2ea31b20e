use std::time::SystemTime;

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, Method, Uri};
use ringrift_blob::{Digest, ModelName};

use crate::{
    access::Deed,
    answer::{ASK_AGAIN, FOR_EVER, Representation},
    body::Passage,
    error::HttpError,
    objects::Found,
    routes::{Peer, Shared},
};

/// `GET /models/{name}`.
pub(crate) async fn by_name(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, HttpError> {
    let now = SystemTime::now();
    shared.access.judge(Deed::Read, &method, &uri, &headers, peer.0, now)?;
    let name: ModelName = name.parse()?;
    represent(shared.objects.by_name(&name).await?, ASK_AGAIN).answer(&method, &headers, now)
}

/// `GET /models/by-digest/{hex}`.
pub(crate) async fn by_digest(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Path(hex): Path<String>,
) -> Result<Response, HttpError> {
    let now = SystemTime::now();
    shared.access.judge(Deed::Read, &method, &uri, &headers, peer.0, now)?;
    let sha256: Digest =
        hex.parse().map_err(|error: ringrift_blob::InvalidDigest| HttpError::BadRequest(error.to_string()))?;
    represent(shared.objects.by_digest(sha256).await?, FOR_EVER).answer(&method, &headers, now)
}

fn represent(found: Found, cache_control: &'static str) -> Representation {
    let passage = Passage::Mapped(found.warmth);
    Representation { labels: found.labels, object: found.object, modified: found.since, cache_control, passage }
}
