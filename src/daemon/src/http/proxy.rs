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
    match sent_to_leader(&shared, &caller, request).await {
        Ok(request) => next.run(request).await,
        Err(answer) => *answer,
    }
}

/// Middleware for what is read of the agreed state. Asked with `consistent`, the answer holds everything that was acknowledged before
/// the request began: the leader gives it, once a majority has confirmed that it still leads. Asked without, this node
/// answers with what it knows.
pub(crate) async fn consistent(State(shared): State<Shared>, caller: Caller, request: Request, next: Next) -> Response {
    match asks_for_consistency(request.uri().query().unwrap_or_default()) {
        Ok(false) => return next.run(request).await,
        Ok(true) => {}
        Err(error) => return error.into_response(),
    }
    match sent_to_leader(&shared, &caller, request).await {
        Ok(request) => match shared.read_barrier().await {
            Ok(()) => next.run(request).await,
            Err(error) => error.into_response(),
        },
        Err(answer) => *answer,
    }
}

/// Whether the query has `consistent`, `consistent=true` or `consistent=false`.
fn asks_for_consistency(query: &str) -> Result<bool, ApiError> {
    let value = query.rsplit('&').find_map(|pair| match pair.split_once('=') {
        Some((name, value)) => (name == "consistent").then_some(value),
        None => (pair == "consistent").then_some("true"),
    });
    match value {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(ApiError::BadRequest(format!("consistent={other}: expected true or false"))),
    }
}

/// The request itself where this node leads; else what became of it.
async fn sent_to_leader(shared: &Shared, caller: &Caller, request: Request) -> Result<Request, Box<Response>> {
    let leadership = shared.agreement.leadership();
    let answer = match leadership.leader {
        Some(leader) if leader == *shared.node() => return Ok(request),
        // One hop: two nodes with different views must not pass a request back and forth.
        Some(leader) if caller.forwarded_by.is_none() => match send(shared, &leader, caller, request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        },
        Some(leader) => {
            ApiError::NoLeader(format!("{} no longer leads; {leader} does: ask again", shared.node())).into_response()
        }
        None => ApiError::NoLeader("no leader is known; fewer than a majority of the voters may be alive".into())
            .into_response(),
    };
    Err(Box::new(answer))
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

/// The same request, answered by that node over whatever link leads to it.
#[utoipa::path(method(get, post, put, delete), path = "/api/node/{node}/{path}", tag = "cluster",
    params(("node" = String, Path), ("path" = String, Path, description = "the rest of the path, with its slashes")),
    responses((status = 200, description = "what the node answered"), (status = 404), (status = 502), (status = 504)))]
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
pub(super) async fn send(
    shared: &Shared,
    node: &NodeId,
    caller: &Caller,
    mut request: Request,
) -> Result<Response, ApiError> {
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

#[cfg(test)]
mod tests {
    use super::asks_for_consistency;

    #[test]
    fn the_query_says_whether_the_answer_must_be_fresh() {
        for (query, asked) in [
            ("", Some(false)),
            ("since=3", Some(false)),
            ("inconsistent", Some(false)),
            ("consistent", Some(true)),
            ("since=3&consistent=true", Some(true)),
            ("consistent=false", Some(false)),
            ("consistent=true&consistent=false", Some(false)),
            ("consistent=yes", None),
        ] {
            assert_eq!(asks_for_consistency(query).ok(), asked, "{query}");
        }
    }
}
