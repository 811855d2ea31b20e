use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::{Client, ClientError, LAST_EVENT_ID, exchange::Answer, sse};
use crate::Event;

/// The event log as it grows. A lost connection is made again from the last event that was seen.
pub struct EventStream {
    client: Client,
    kind: Option<String>,
    last_seq: u64,
    connection: Option<Connection>,
    /// Failed attempts since the last message.
    attempts: u32,
    ready: VecDeque<Followed>,
}

struct Connection {
    answer: Answer,
    parser: sse::Parser,
}

/// What following the event log brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Something happened.
    Event(Event),
    /// Events were dropped by the cluster before they could be read: those from `from` up to and including `to`.
    Missed {
        /// The first that is missing.
        from: u64,
        /// The last that is missing.
        to: u64,
    },
    /// The connection was lost; it is made again after `retry_in`.
    Lost {
        /// Why.
        error: ClientError,
        /// How long the next call waits before it tries again.
        retry_in: Duration,
    },
    /// There is a connection again.
    Resumed,
}

impl EventStream {
    /// A stream that is silent for this long is taken for lost: a daemon sends a comment at least every 15 s.
    pub const SILENCE: Duration = Duration::from_secs(45);

    const FIRST_RETRY: Duration = Duration::from_millis(250);
    const LAST_RETRY: Duration = Duration::from_secs(5);

    pub(super) async fn connect(client: Client, since: u64, kind: Option<String>) -> Result<Self, ClientError> {
        let mut stream = Self { client, kind, last_seq: since, connection: None, attempts: 0, ready: VecDeque::new() };
        stream.connection = Some(stream.open().await?);
        Ok(stream)
    }

    /// The sequence number of the newest event that was handed out.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// What comes next. An error is final: the daemon refuses, or is none. Cancel-safe.
    pub async fn next(&mut self) -> Result<Followed, ClientError> {
        loop {
            if let Some(next) = self.ready.pop_front() {
                if let Followed::Event(event) = &next {
                    self.last_seq = event.seq;
                }
                return Ok(next);
            }
            let Some(connection) = &mut self.connection else {
                tokio::time::sleep(self.pause()).await;
                match self.open().await {
                    Ok(connection) => {
                        self.connection = Some(connection);
                        return Ok(Followed::Resumed);
                    }
                    Err(error) => return self.lose(error),
                }
            };
            let url = self.client.url(PATH);
            match connection.answer.part(&url, Self::SILENCE).await {
                Ok(Some(piece)) => {
                    self.attempts = 0;
                    if let Err(error) = self.take(&piece, &url) {
                        return self.lose(error);
                    }
                }
                Ok(None) => {
                    return self
                        .lose(ClientError::Unreachable { url, reason: "the daemon ended the stream".to_owned() });
                }
                Err(error) => return self.lose(error),
            }
        }
    }

    fn take(&mut self, piece: &Bytes, url: &str) -> Result<(), ClientError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let strange =
            |reason: String| ClientError::NotTheApi { url: url.to_owned(), status: connection.answer.status, reason };
        let mut messages = Vec::new();
        connection
            .parser
            .push(piece, &mut messages)
            .map_err(|sse::TooLong| strange("an event is larger than 1 MiB".to_owned()))?;
        for message in messages {
            let event: Event = serde_json::from_str(&message.data)
                .map_err(|e| strange(format!("event {:?} cannot be read: {e}", message.id.unwrap_or_default())))?;
            let newest = self.ready.iter().rev().find_map(|f| match f {
                Followed::Event(event) => Some(event.seq),
                _ => None,
            });
            let newest = newest.unwrap_or(self.last_seq);
            if event.seq <= newest {
                // Sent again after a reconnection.
                continue;
            }
            // Of a chosen type the numbers have gaps anyway.
            if self.kind.is_none() && event.seq > newest + 1 {
                self.ready.push_back(Followed::Missed { from: newest + 1, to: event.seq - 1 });
            }
            self.ready.push_back(Followed::Event(event));
        }
        Ok(())
    }

    fn lose(&mut self, error: ClientError) -> Result<Followed, ClientError> {
        self.connection = None;
        if !error.is_passing() {
            return Err(error);
        }
        self.attempts += 1;
        Ok(Followed::Lost { error, retry_in: self.pause() })
    }

    fn pause(&self) -> Duration {
        (Self::FIRST_RETRY * 2u32.saturating_pow(self.attempts.saturating_sub(1).min(10))).min(Self::LAST_RETRY)
    }

    async fn open(&self) -> Result<Connection, ClientError> {
        let mut path = format!("{PATH}?follow=true&since={}", self.last_seq);
        if let Some(kind) = &self.kind {
            path.push_str("&type=");
            path.push_str(kind);
        }
        let url = self.client.url(&path);
        let mut request = self.client.request(Method::GET, &path, None, Bytes::new())?;
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static(EVENT_STREAM));
        request.headers_mut().insert(LAST_EVENT_ID, HeaderValue::from(self.last_seq));
        let answer = self.client.send(&url, request).await?;
        let status = answer.status;
        if !status.is_success() {
            let body = answer.bytes(&url, Client::MAX_JSON, self.client.timeout).await?;
            return Err(self.client.refusal(url, status, &body));
        }
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !kind.starts_with(EVENT_STREAM) {
            let reason = format!("{kind:?} is not a stream of events");
            return Err(ClientError::NotTheApi { url, status, reason });
        }
        Ok(Connection { answer, parser: sse::Parser::default() })
    }
}

pub(super) const PATH: &str = "/api/events";
const EVENT_STREAM: &str = "text/event-stream";
