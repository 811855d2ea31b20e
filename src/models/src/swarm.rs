//! `GET /swarm`: a connection between two nodes, which both of them use as they like from then on.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::SystemTime,
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use ringrift_config::NodeId;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::{error::HttpError, routes::Shared, signature::Signer, wire::Wire};

/// What both ends speak after the upgrade, as `Upgrade:` names it.
pub const PROTOCOL: &str = "ringrift-swarm/1";

/// Where.
const PATH: &str = "/swarm";

/// RFC 9110 §11.6.3: what proves that the answer comes from the cluster too.
const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// A connection between two nodes that know each other. Slices of the store's mappings that are written to it, with
/// `poll_write_vectored` or not, leave without being touched.
pub struct SwarmStream {
    wire: Wire,
    /// What came together with the end of the HTTP head.
    early: Bytes,
}

/// Why a node could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The connection broke.
    #[error("the connection to node {node} broke: {reason}")]
    Broken {
        /// Which node.
        node: NodeId,
        /// How.
        reason: String,
    },
    /// It answered something else.
    #[error("node {node} answered {status}: {reason}")]
    Refused {
        /// Which node.
        node: NodeId,
        /// With what.
        status: StatusCode,
        /// In its own words.
        reason: String,
    },
    /// Somebody without the cluster's token answers there.
    #[error("what answers at the address of node {0} has not this cluster's token")]
    Stranger(NodeId),
}

/// Longest answer that is read for its reason, bytes.
const MAX_REASON: usize = 4096;

impl SwarmStream {
    fn of(upgraded: Upgraded) -> Result<Self, &'static str> {
        let parts = upgraded.downcast::<TokioIo<Wire>>().map_err(|_| "the connection is of another kind")?;
        let wire = parts.io.into_inner().without_pace();
        // A kernel without this option sends the same bytes, later.
        let _ = wire.hold_little();
        Ok(Self { wire, early: parts.read_buf })
    }
}

/// The server's end.
pub(crate) async fn accept(State(shared): State<Shared>, mut request: Request) -> Result<Response, HttpError> {
    let signed = shared.access.signed(request.method(), request.uri(), request.headers(), SystemTime::now())?;
    if !has(request.headers(), &header::CONNECTION, "upgrade") || !has(request.headers(), &header::UPGRADE, PROTOCOL) {
        return Err(HttpError::UpgradeRequired(PROTOCOL));
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| HttpError::BadRequest("HTTP/1.1 alone can be upgraded".into()))?;
    let node = signed.node;
    tokio::spawn(async move {
        let stream = match upgrade.await {
            Ok(upgraded) => SwarmStream::of(upgraded),
            // The peer went away between question and answer.
            Err(error) => return tracing::debug!(%node, %error, "upgrade not finished"),
        };
        match stream {
            Ok(stream) => shared.callbacks.swarm.joined(node, stream),
            Err(error) => tracing::error!(%node, error, "upgrade"),
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    headers.insert(AUTHENTICATION_INFO, signed.proof);
    Ok(response)
}

/// The dialling end: joins the node `to` over a fresh connection to its port 8767. It takes as long as the node takes; callers set a time.
///
/// # Errors
///
/// If it does not answer, does not want to, or is none of the cluster.
pub async fn join(socket: TcpStream, signer: &Signer, to: &NodeId) -> Result<SwarmStream, JoinError> {
    let broken = |reason: String| JoinError::Broken { node: to.clone(), reason };
    let _ = socket.set_nodelay(true);
    let host = socket.peer_addr().map_err(|error| broken(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(Wire::new(socket)))
        .await
        .map_err(|error| broken(error.to_string()))?;
    let connection = tokio::spawn(connection.with_upgrades());
    // It ends with this function, unless the stream outlives it.
    let _end = AbortOnDrop(connection.abort_handle());
    let authorization = signer.sign_now(to, &Method::GET, PATH);
    let request = http::Request::get(PATH)
        .header(header::HOST, host.to_string())
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, PROTOCOL)
        .header(header::AUTHORIZATION, &authorization)
        .body(Body::empty())
        .map_err(|error| broken(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| broken(error.to_string()))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS || !has(response.headers(), &header::UPGRADE, PROTOCOL) {
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_REASON).await.unwrap_or_default();
        return Err(JoinError::Refused { node: to.clone(), status, reason: reason(&body) });
    }
    let proof = response.headers().get(AUTHENTICATION_INFO);
    if !proof.is_some_and(|proof| signer.is_proof(proof, &Method::GET, PATH, &authorization)) {
        return Err(JoinError::Stranger(to.clone()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|error| broken(error.to_string()))?;
    SwarmStream::of(upgraded).map_err(|error| broken(error.to_owned()))
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an error body says, or its beginning if it is none of ours.
fn reason(body: &[u8]) -> String {
    let Ok(error) = serde_json::from_slice::<ringrift_api::ErrorBody>(body) else {
        return String::from_utf8_lossy(body).chars().take(200).collect();
    };
    // `unauthorized` says nothing, the detail does.
    error.details.get("reason").and_then(|reason| reason.as_str()).map_or(error.error, str::to_owned)
}

/// Whether a list in a header has this element.
fn has(headers: &HeaderMap, name: &HeaderName, element: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(element))
}

impl fmt::Debug for SwarmStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwarmStream").field("peer", &self.wire.peer_addr().ok()).finish_non_exhaustive()
    }
}

impl AsyncRead for SwarmStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.wire).poll_read(cx, buffer);
        }
        let length = self.early.len().min(buffer.remaining());
        buffer.put_slice(&self.early.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for SwarmStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
