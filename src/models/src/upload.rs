//! `POST /models/upload`: multipart/form-data with a part `file`, as old uploaders send it.

use std::{io::Write as _, sync::Arc, time::SystemTime};

use axum::{
    Extension, Json,
    extract::{Query, Request, State},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header};
use multer::{Field, Multipart};
use ringrift_blob::{Digest, ModelName};
use ringrift_store::{Object, Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    access::{Caller, Deed},
    answer::REPR_DIGEST,
    error::HttpError,
    intake::{Allowance, Intake},
    objects::panicked,
    routes::{Peer, Server, Shared},
};

/// Pieces that lie between the connection and the disk; hyper gives pieces of at most some 400 KiB.
const IN_FLIGHT: usize = 4;

/// Bytes around the file in a body: boundaries, heads of parts, other fields.
const AROUND: u64 = 64 << 10;

/// Bytes in which the head of a part must have come, what was read before it included.
const HEAD: u64 = 256 << 10;

/// Bytes of a field that is no file.
const SMALL: usize = 1024;

/// Of the address.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    sha256: Option<Digest>,
}

/// The answer. A superset of what `ringrift_api::ModelUploaded` reads.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    success: bool,
    name: ModelName,
    size: u64,
    sha256: Digest,
}

pub(crate) async fn upload(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Result<Json<Answer>, HttpError> {
    let (head, body) = request.into_parts();
    let caller =
        shared.access.judge(Deed::Upload, &head.method, &head.uri, &head.headers, peer.0, SystemTime::now())?;
    let Query(asked) = asked.map_err(|error| HttpError::BadRequest(error.body_text()))?;
    if matches!(caller, Caller::Node(_)) && asked.sha256.is_none() {
        let why = "a signature does not cover the body: a node says `?sha256=…`, which it covers";
        return Err(HttpError::BadRequest(why.into()));
    }
    let limit = shared.limits.upload_bytes;
    if announced(&head.headers).is_some_and(|length| length > limit.saturating_add(AROUND)) {
        return Err(HttpError::TooLarge { limit });
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary = multer::parse_boundary(kind)
        .map_err(|_| HttpError::BadRequest("an upload is multipart/form-data with a part `file`".into()))?;
    let _permit = Arc::clone(&shared.uploads).try_acquire_owned().map_err(|_| {
        HttpError::Overloaded(format!("{} uploads are going on already: try again", shared.limits.uploads))
    })?;

    let mut expected = Expected(asked.sha256);
    let mut intake = Intake::new(body, shared.limits.slowest);
    let allowance = intake.allowance();
    let taken = match expected.read(&head.headers) {
        Ok(()) => take(&shared, Multipart::new(&mut intake, boundary), &allowance, expected).await,
        Err(error) => Err(error),
    };
    match taken {
        Ok((name, object)) => {
            tracing::info!(%name, sha256 = %object.sha256(), size = object.size(), ?caller, "model uploaded");
            shared.callbacks.uploads.stored(&name, object.sha256(), &caller);
            Ok(Json(Answer { success: true, name, size: object.size(), sha256: object.sha256() }))
        }
        Err(error) => {
            // A client that is still sending would take a closed connection for the answer.
            intake.drain().await;
            Err(intake.too_slow().unwrap_or(error))
        }
    }
}

/// Takes the parts. The file gets its name only when the last byte of the body has come and every promise was kept.
async fn take(
    shared: &Server,
    mut parts: Multipart<'_>,
    allowance: &Allowance,
    mut expected: Expected,
) -> Result<(ModelName, Arc<Object>), HttpError> {
    let mut file: Option<(ModelName, Writer)> = None;
    loop {
        allowance.set(HEAD);
        let part = parts.next_field().await.map_err(|error| unreadable(&error))?;
        let Some(mut part) = part else { break };
        allowance.set(u64::MAX);
        match part.name() {
            Some("file") if file.is_some() => {
                return Err(HttpError::BadRequest("there are two parts `file`; send one model at a time".into()));
            }
            Some("file") => {
                let name: ModelName = part
                    .file_name()
                    .ok_or_else(|| HttpError::BadRequest("the part `file` has no filename".into()))?
                    .parse()?;
                if is_reserved(&name) {
                    return Err(StoreError::ReservedName(name).into());
                }
                expected.read(part.headers())?;
                let mut writer = Writer::start(shared.store.clone(), name.clone());
                writer.copy(&mut part, shared.limits.upload_bytes).await?;
                file = Some((name, writer));
            }
            Some("sha256") => {
                let text = small(&mut part).await?;
                expected.promise(text.trim())?;
            }
            _ => drop(small(&mut part).await?),
        }
    }
    let (name, writer) = file.ok_or_else(|| HttpError::BadRequest("there is no part `file`".into()))?;
    let object = writer.finish(expected.0).await?;
    Ok((name, object))
}

/// Names that the store would refuse to publish, but only once it has the bytes.
fn is_reserved(name: &ModelName) -> bool {
    let ending = name.as_str().rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("sha256" | "tmp")) || name.as_str().starts_with("ringrift_best_")
}

/// What the uploader says the file is. It may say so in several places.
struct Expected(Option<Digest>);

impl Expected {
    fn promise(&mut self, text: &str) -> Result<(), HttpError> {
        let digest: Digest =
            text.parse().map_err(|error: ringrift_blob::InvalidDigest| HttpError::BadRequest(error.to_string()))?;
        match self.0.replace(digest) {
            Some(other) if other != digest => {
                Err(HttpError::BadRequest(format!("the upload promises two digests, {other} and {digest}")))
            }
            _ => Ok(()),
        }
    }

    /// `X-Content-SHA256: hex` and `Repr-Digest: sha-256=:base64:`. Digests of other kinds are passed over (RFC 9530 §3).
    fn read(&mut self, headers: &HeaderMap) -> Result<(), HttpError> {
        if let Some(value) = headers.get("x-content-sha256") {
            self.promise(value.to_str().unwrap_or_default().trim())?;
        }
        for value in headers.get_all(REPR_DIGEST).iter().filter_map(|value| value.to_str().ok()) {
            for (kind, value) in value.split(',').filter_map(|member| member.trim().split_once('=')) {
                if kind != "sha-256" {
                    continue;
                }
                let bytes = value.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
                let bytes = bytes.and_then(|text| STANDARD.decode(text).ok()).and_then(|bytes| bytes.try_into().ok());
                let Some(bytes) = bytes else {
                    return Err(HttpError::BadRequest(format!("Repr-Digest: {value:?} is not 32 bytes as :base64:")));
                };
                self.promise(&Digest::from_bytes(bytes).to_string())?;
            }
        }
        Ok(())
    }
}

/// A thread that writes and hashes what it is given. Dropped before the end it leaves nothing behind.
struct Writer {
    pieces: mpsc::Sender<Piece>,
    thread: JoinHandle<Result<Option<Arc<Object>>, StoreError>>,
}

enum Piece {
    Bytes(Bytes),
    End(Option<Digest>),
}

impl Writer {
    fn start(store: Store, name: ModelName) -> Self {
        let (pieces, from) = mpsc::channel(IN_FLIGHT);
        Self { pieces, thread: spawn_blocking(move || write(&store, &name, from)) }
    }

    async fn copy(&mut self, part: &mut Field<'_>, limit: u64) -> Result<(), HttpError> {
        let mut size = 0;
        while let Some(bytes) = part.chunk().await.map_err(|error| unreadable(&error))? {
            size += bytes.len() as u64;
            if size > limit {
                return Err(HttpError::TooLarge { limit });
            }
            if self.pieces.send(Piece::Bytes(bytes)).await.is_err() {
                // The thread ended before its time; it knows why.
                break;
            }
        }
        if self.pieces.is_closed() { Err(self.reason().await) } else { Ok(()) }
    }

    async fn finish(mut self, expected: Option<Digest>) -> Result<Arc<Object>, HttpError> {
        if self.pieces.send(Piece::End(expected)).await.is_err() {
            return Err(self.reason().await);
        }
        let object = (&mut self.thread).await.map_err(|error| panicked(&error))??;
        object.ok_or_else(|| HttpError::Internal("the upload was given up".into()))
    }

    async fn reason(&mut self) -> HttpError {
        match (&mut self.thread).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(_)) => HttpError::Internal("the upload was given up".into()),
            Err(error) => panicked(&error),
        }
    }
}

/// Stores the pieces and publishes them; `None` when they end without an end.
fn write(
    store: &Store,
    name: &ModelName,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<Option<Arc<Object>>, StoreError> {
    let mut upload = store.upload(name.as_str());
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => upload.write_all(&bytes).map_err(|error| reason(error, name))?,
            Some(Piece::End(expected)) => {
                let object = upload.finish(expected)?;
                store.publish(name, &object.sha256())?;
                return Ok(Some(object));
            }
            None => return Ok(None),
        }
    }
}

/// What the store wrapped into an error of `io::Write`.
fn reason(error: std::io::Error, name: &ModelName) -> StoreError {
    error.downcast::<StoreError>().unwrap_or_else(|source| StoreError::Io {
        deed: "write the upload",
        path: name.as_str().into(),
        source,
    })
}

async fn small(part: &mut Field<'_>) -> Result<String, HttpError> {
    let mut bytes = Vec::new();
    while let Some(more) = part.chunk().await.map_err(|error| unreadable(&error))? {
        if bytes.len() + more.len() > SMALL {
            let name = part.name().unwrap_or_default();
            return Err(HttpError::BadRequest(format!("the field {name:?} is longer than {SMALL} bytes")));
        }
        bytes.extend_from_slice(&more);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(error: &multer::Error) -> HttpError {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    HttpError::BadRequest(format!("the body ends early or is no multipart/form-data: {error}{cause}"))
}

/// The headers of an upload, for [`crate::fuzz`].
#[cfg(any(fuzzing, test))]
pub(crate) fn fuzz_headers(headers: &HeaderMap) {
    let _ = announced(headers);
    let mut expected = Expected(None);
    if expected.read(headers).is_ok() {
        let known = expected.0;
        assert!(expected.read(headers).is_ok() && expected.0 == known, "the same promises are the same");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_digest_may_be_promised_in_several_places_and_must_be_the_same() {
        let digest = Digest::of(b"abc");
        let base64 = format!("sha-256=:{}:", STANDARD.encode(digest.as_bytes()));
        for (name, value, expected) in [
            ("x-content-sha256", digest.to_string(), Ok(Some(digest))),
            ("x-content-sha256", "abc".into(), Err("is not a SHA-256 digest")),
            ("repr-digest", base64.clone(), Ok(Some(digest))),
            ("repr-digest", format!("sha-512=:AAAA:, {base64}"), Ok(Some(digest))),
            ("repr-digest", "sha-512=:AAAA:".into(), Ok(None)),
            ("repr-digest", "sha-256=:AAAA:".into(), Err("is not 32 bytes")),
            ("repr-digest", "sha-256=AAAA".into(), Err("is not 32 bytes")),
        ] {
            let mut found = Expected(None);
            let read = found.read(&headers(name, &value)).map(|()| found.0).map_err(|error| error.to_string());
            match expected {
                Ok(expected) => assert_eq!(read, Ok(expected), "{value}"),
                Err(why) => assert!(read.unwrap_err().contains(why), "{value}"),
            }
        }
        let mut found = Expected(Some(Digest::of(b"other")));
        let error = found.read(&headers("repr-digest", &base64)).unwrap_err();
        assert!(error.to_string().contains("two digests"), "{error}");
    }
}
