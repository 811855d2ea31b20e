//! Requests that another node answers: the leader's routes, and `/api/node/{id}/…` for a node that cannot be dialled.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Path, Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, Uri, header};
use hyper_util::rt::TokioIo;
use ringrift_config::NodeId;
use ringrift_link::Protocol;
use tracing::debug;

use super::{
    auth::{AUTHENTICATED, Caller, FORWARDED_BY},
    error::ApiError,
};
use crate::node::Shared;

/// Time for the other node to begin its answer; a body may take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Headers that belong to one connection (RFC 9110 §7.6.1), and the caller's secrets, which stay here.
const NOT_PASSED_ON: [&str; 8] =
    ["authorization", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "x-ringrift-auth"];

/// Middleware: a route behind it is answered by the leader, wherever it is asked for.
pub(crate) async fn leader_only(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let leadership = shared.agreement.leadership();
    match leadership.leader {
        Some(leader) if leader == *shared.node() => next.run(request).await,
        // One hop: two nodes with different views must not pass a request back and forth.
        Some(leader) if caller.forwarded_by.is_none() => match send(&shared, &leader, &caller, request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        },
        Some(leader) => {
            ApiError::NoLeader(format!("{} no longer leads; {leader} does: ask again", shared.node())).into_response()
        }
        None => ApiError::NoLeader("no leader is known; fewer than a majority of the voters may be alive".into())
            .into_response(),
    }
}

/// Middleware: the leader knows more, so it is asked; what this node knows is the answer when the leader cannot be.
pub(crate) async fn leader_or_here(
    State(shared): State<Shared>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Response {
    let leader = shared.agreement.leadership().leader.filter(|l| l != shared.node());
    if let (Some(leader), None) = (leader, &caller.forwarded_by) {
        let mut copy = Request::new(Body::empty());
        *copy.uri_mut() = request.uri().clone();
        if let Ok(response) = send(&shared, &leader, &caller, copy).await {
            return response;
        }
    }
    next.run(request).await
}

/// `/api/node/{id}/{*path}`: the same request, answered by that node over whatever link leads to it.
pub(crate) async fn to_node(
    State(shared): State<Shared>,
    Path((node, path)): Path<(String, String)>,
    caller: Caller,
    mut request: Request,
) -> Result<Response, ApiError> {
    let node: NodeId = node.parse().map_err(|e: ringrift_config::InvalidNodeId| ApiError::BadRequest(e.to_string()))?;
    let target = match request.uri().query() {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    *request.uri_mut() =
        target.parse::<Uri>().map_err(|e| ApiError::BadRequest(format!("{target} is not a path: {e}")))?;
    if node == *shared.node() {
        return shared.answer_here(caller, request).await;
    }
    if !shared.knows(&node) {
        return Err(ApiError::NotFound(format!("no node is called {node}: `ringriftctl nodes list` shows them")));
    }
    if caller.forwarded_by.is_some() {
        return Err(ApiError::BadRequest("a request is passed on at most once".into()));
    }
    send(&shared, &node, &caller, request).await
}

/// Sends a request to another node and returns its answer, its body still streaming.
async fn send(shared: &Shared, node: &NodeId, caller: &Caller, mut request: Request) -> Result<Response, ApiError> {
    let stream = shared.links.open(node, Protocol::Http).await.map_err(|e| ApiError::unreachable(node, &e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| ApiError::Unreachable { node: node.clone(), reason: e.to_string() })?;
    let name = node.clone();
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(peer = %name, %error, "a forwarded request's stream ended");
        }
    });
    strip(request.headers_mut());
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("ringrift"));
    if caller.trusted {
        request.headers_mut().insert(AUTHENTICATED, HeaderValue::from_static("1"));
    }
    if let Ok(value) = HeaderValue::from_str(shared.node().as_str()) {
        request.headers_mut().insert(FORWARDED_BY, value);
    }
    match tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await {
        Ok(Ok(response)) => {
            let (mut parts, body) = response.into_parts();
            strip(&mut parts.headers);
            Ok(Response::from_parts(parts, Body::new(body)))
        }
        Ok(Err(error)) => Err(ApiError::Unreachable { node: node.clone(), reason: error.to_string() }),
        Err(_) => Err(ApiError::Timeout(format!("node {node} did not answer within {} s", ANSWER_WITHIN.as_secs()))),
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in NOT_PASSED_ON {
        headers.remove(name);
    }
}
