//! How the parts of the training pipeline are, here and on every node.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Query, Request, State},
    response::Response,
};
use futures::{StreamExt as _, stream};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use ringrift_api::{ClusterComponents, ComponentReport, Liveness, NodeComponents};
use ringrift_config::{Host, NodeId};
use serde::Deserialize;

use super::{
    auth::Caller,
    proxy,
    read::{is_false, json},
};
use crate::{
    node::Shared,
    view::{self, epoch_seconds},
};

const PATH: &str = "/api/health/components";

/// How many nodes are asked at once, and for how long each.
const AT_ONCE: usize = 16;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Largest answer that is taken from a node, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The query of the route.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ComponentsQuery {
    cluster: Option<String>,
}

/// How games, training, evaluation, tasks, the daemon and the host are: of this node, or of every node.
#[utoipa::path(get, path = "/api/health/components", tag = "health",
    params(("cluster" = Option<bool>, Query, description = "ask every node; the answer is then a `ClusterComponents`")),
    responses((status = 200, body = ComponentReport)))]
pub(crate) async fn components(
    State(shared): State<Shared>,
    Query(query): Query<ComponentsQuery>,
    caller: Caller,
) -> Response {
    let snapshot = shared.snapshot();
    // A node that was asked by another one answers for itself.
    if caller.forwarded_by.is_some() || query.cluster.as_deref().is_none_or(is_false) {
        return json(StatusCode::OK, snapshot.components_json());
    }
    let hosts = shared.hosts();
    let mut asked = Vec::new();
    for peer in snapshot.status.all_peers.values() {
        let host = hosts.as_ref().and_then(|hosts| hosts.hosts.get(&peer.node_id));
        if peer.is_alive || host.is_some_and(Host::runs_daemon) {
            asked.push(ask(shared.clone(), caller.clone(), peer.node_id.clone(), peer.state));
        }
    }
    let mut nodes: Vec<NodeComponents> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
    let own = snapshot.components().clone();
    nodes.push(NodeComponents { node_id: shared.node().clone(), report: Some(own), error: None });
    let report = ClusterComponents::of(view::timestamp(epoch_seconds()), nodes);
    json(StatusCode::OK, view::json(&report))
}

async fn ask(shared: Shared, caller: Caller, node_id: NodeId, state: Liveness) -> NodeComponents {
    if !state.is_alive() {
        return NodeComponents { node_id, report: None, error: Some(format!("is {state}")) };
    }
    let told = async {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(PATH);
        let answer = proxy::send(&shared, &node_id, &caller, request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        if status != StatusCode::OK {
            return Err(format!("does not tell of its components: its daemon answered {status}"));
        }
        serde_json::from_slice::<ComponentReport>(&body.to_bytes()).map_err(|error| error.to_string())
    };
    match tokio::time::timeout(ANSWER_WITHIN, told).await {
        Ok(Ok(report)) => NodeComponents { node_id, report: Some(report), error: None },
        Ok(Err(error)) => NodeComponents { node_id, report: None, error: Some(error) },
        Err(_) => {
            let error = format!("did not answer within {} s", ANSWER_WITHIN.as_secs());
            NodeComponents { node_id, report: None, error: Some(error) }
        }
    }
}
