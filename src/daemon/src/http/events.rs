//! `GET /api/events`: the agreed event log, as a page or as a stream of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Query, State},
    response::{
        IntoResponse as _, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use http::{HeaderMap, header};
use ringrift_api::EventPage;
use ringrift_state::{Agreed, Event};
use serde::Deserialize;

use super::error::ApiError;
use crate::node::Shared;

/// Most events in one page.
const MAX_PAGE: usize = 1000;

/// How often an idle stream sends a comment, so that proxies and clients see that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The query of `/api/events`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct EventsQuery {
    /// Only events with a greater sequence number.
    since: u64,
    /// At most so many, oldest first.
    limit: Option<usize>,
    /// Only events of this type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Answer with a stream that goes on; so does `Accept: text/event-stream`.
    follow: bool,
}

/// A page of events, or a stream of them.
#[utoipa::path(get, path = "/api/events", tag = "events",
    params(("since" = Option<u64>, Query, description = "only events with a greater sequence number"),
           ("limit" = Option<u32>, Query, description = "at most so many, oldest first; 1000 by default"),
           ("type" = Option<String>, Query, description = "only events of this type"),
           ("follow" = Option<bool>, Query, description = "stream server-sent events")),
    responses((status = 200, body = EventPage)))]
pub(crate) async fn events(
    State(shared): State<Shared>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let wants_stream = query.follow
        || headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/event-stream"));
    // What a reconnecting browser or curl loop sends by itself.
    let last_id = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let since = last_id.unwrap_or(query.since);
    if wants_stream {
        let stream = follow(shared, since, query.kind);
        return Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response());
    }
    let agreed = shared.agreement.agreed();
    let limit = query.limit.unwrap_or(MAX_PAGE).min(MAX_PAGE);
    let events = newer(&agreed, since, query.kind.as_deref()).take(limit).map(|e| crate::view::event(e)).collect();
    Ok(Json(EventPage {
        success: true,
        events,
        first_seq: agreed.state.events.front().map_or(0, |e| e.seq),
        leader_id: shared.agreement.leadership().leader,
        last_seq: agreed.state.events.last_seq(),
    })
    .into_response())
}

fn newer<'a>(agreed: &'a Agreed, since: u64, kind: Option<&'a str>) -> impl Iterator<Item = &'a Arc<Event>> {
    agreed.state.events.since(since).filter(move |e| kind.is_none_or(|k| e.event.kind == k))
}

/// Every event after `since`, then each new one as soon as it is agreed. A reader that falls behind the bounded log sees
/// the gap in the ids.
fn follow(shared: Shared, since: u64, kind: Option<String>) -> impl Stream<Item = Result<SseEvent, Infallible>> {
    let changes = shared.changes();
    stream::unfold((shared, since, changes, kind), |(shared, since, mut changes, kind)| async move {
        loop {
            let agreed = shared.agreement.agreed();
            let next = newer(&agreed, since, kind.as_deref()).next().cloned();
            if let Some(event) = next {
                let seq = event.seq;
                let view = crate::view::event(&event);
                let sse = SseEvent::default().id(seq.to_string()).event(&view.kind);
                let sse = sse.json_data(&view).unwrap_or_else(|_| SseEvent::default().comment("unprintable event"));
                return Some((Ok(sse), (shared, seq, changes, kind)));
            }
            if changes.changed().await.is_err() || shared.stopping() {
                return None;
            }
        }
    })
}
