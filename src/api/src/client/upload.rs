//! Bytes of a model on their way to the model server, 8767.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, stream};
use http::{Method, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use ringrift_blob::{Digest, ModelName};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Client, ClientError, exchange, read};
use crate::{ErrorBody, ErrorCode, ModelUploaded};

/// What is uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The name that the file shall have.
    pub name: ModelName,
    /// Its bytes.
    pub size: u64,
    /// Their SHA-256: what arrives otherwise is refused.
    pub sha256: Digest,
}

/// How far an upload is; clones count the same one.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<AtomicU64>);

/// Bytes of one part of the body.
const PART: usize = 256 << 10;

impl Sent {
    /// Bytes of the file that were given to the connection.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Client {
    /// The same host at another port, for example that of its model server.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Self {
        Self { base: self.base.at_port(port), node: None, ..self.clone() }
    }

    /// Whether the model server at this client's port has these bytes already.
    pub async fn has_model(&self, sha256: &Digest) -> Result<bool, ClientError> {
        let path = format!("/models/by-digest/{sha256}");
        let url = self.url(&path);
        let request = self.request(Method::HEAD, &path, None, Bytes::new())?;
        let status = self.send(&url, request).await?.status;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // The answer to HEAD has no body that could say so.
            StatusCode::UNAUTHORIZED => {
                let body = Box::new(ErrorBody::new(ErrorCode::Unauthorized, "unauthorized"));
                Err(ClientError::Unauthorized { url, body, token_sent: self.has_token() })
            }
            _ => Err(self.refusal(url, status, &[])),
        }
    }

    /// `POST /models/upload?sha256=…` to the model server at this client's port, streamed from `bytes`. It may take as long as it
    /// needs, unless nothing moves for the time limit.
    pub async fn upload_model(
        &self,
        upload: &Upload,
        bytes: impl AsyncRead + Send + Unpin + 'static,
        sent: &Sent,
    ) -> Result<ModelUploaded, ClientError> {
        let Upload { name, size, sha256 } = upload;
        let path = format!("/models/upload?sha256={sha256}");
        let url = self.url(&path);
        // No file contains its own digest.
        let boundary = format!("ringrift-{sha256}");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let length = head.len() as u64 + size + tail.len() as u64;
        let parts = stream::iter([Ok(Bytes::from(head))])
            .chain(parts(bytes, *size, sent.clone()))
            .chain(stream::iter([Ok(Bytes::from(tail))]))
            .map(|part| part.map(Frame::data));
        let (mut head, _) = self.request(Method::POST, &path, None, Bytes::new())?.into_parts();
        let unsendable = |reason: String| ClientError::Unsendable { url: url.clone(), reason };
        let kind = format!("multipart/form-data; boundary={boundary}");
        head.headers.insert(header::CONTENT_TYPE, kind.parse().map_err(|_| unsendable("its type".to_owned()))?);
        head.headers.insert(header::CONTENT_LENGTH, length.into());
        let request = http::Request::from_parts(head, StreamBody::new(Box::pin(parts)));
        let exchange = async {
            let answer = exchange::send(&self.base, &url, request, Duration::MAX).await?;
            let status = answer.status;
            let body = answer.bytes(&url, Self::MAX_JSON, self.timeout).await?;
            if status.is_success() { read(&url, status, &body) } else { Err(self.refusal(url.clone(), status, &body)) }
        };
        tokio::pin!(exchange);
        let mut seen = None;
        loop {
            let turn = tokio::time::timeout(self.timeout.max(Self::STILL), &mut exchange).await;
            match turn {
                Ok(Err(broken @ ClientError::Unreachable { .. })) => return Err(self.why_not(broken).await),
                Ok(done) => return done,
                Err(_) if seen == Some(sent.bytes()) => {
                    return Err(ClientError::Timeout { url: url.clone(), after: self.timeout.max(Self::STILL) });
                }
                Err(_) => seen = Some(sent.bytes()),
            }
        }
    }

    /// A server that refuses an upload before it has read it closes the connection, and its answer may be lost with that. Asked
    /// again, without a body, it says the same.
    async fn why_not(&self, broken: ClientError) -> ClientError {
        match self.post_bytes::<ModelUploaded>("/models/upload", Bytes::new()).await {
            Err(error) if matches!(error.code(), Some(ErrorCode::Unauthorized | ErrorCode::Overloaded)) => error,
            Ok(_) | Err(_) => broken,
        }
    }

    /// How long an upload may stand still, at least: the server writes to a disk, and in the end it waits for that disk.
    const STILL: Duration = Duration::from_secs(30);
}

/// The bytes in parts; an error when they are not `size`.
fn parts(
    bytes: impl AsyncRead + Send + Unpin + 'static,
    size: u64,
    sent: Sent,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold((bytes, size), move |(mut bytes, left)| {
        let sent = sent.clone();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let mut part = BytesMut::with_capacity(PART.min(usize::try_from(left).unwrap_or(PART)));
            let limit = part.capacity();
            let count = (&mut bytes).take((limit as u64).min(left)).read_buf(&mut part).await?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter meanwhile"));
            }
            sent.0.fetch_add(count as u64, Ordering::Relaxed);
            Ok(Some((part.freeze(), (bytes, left - count as u64))))
        }
    })
}
