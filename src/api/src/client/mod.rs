//! A client of the API: HTTP/1.1 without TLS, one connection per request, for operators' tools and tests.

mod base;
mod error;
mod events;
mod exchange;
mod jobs;
mod models;
pub(crate) mod sse;
mod upload;

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode,
    header::{self, HeaderName},
};
use http_body_util::Full;
use ringrift_config::NodeId;
use serde::{Serialize, de::DeserializeOwned};

use self::{base::Base, exchange::Answer};
pub use self::{
    error::ClientError,
    events::{EventStream, Followed},
    upload::{Sent, Upload},
};
use crate::ErrorBody;

/// Asks one daemon; through it, with [`Client::through`], any other node.
#[derive(Debug, Clone)]
pub struct Client {
    base: Base,
    token: Option<Token>,
    timeout: Duration,
    node: Option<NodeId>,
}

/// Kept out of every debug output.
#[derive(Clone)]
struct Token(HeaderValue);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(token)")
    }
}

impl Client {
    /// How long a request may take, unless [`Client::with_timeout`] says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The largest JSON answer that is read. A status of 1,000 members is about 2 MiB.
    const MAX_JSON: usize = 64 << 20;

    /// The largest answer that is read as bytes.
    const MAX_BYTES: usize = 1 << 30;

    /// A client of the daemon at `base`: `http://host:port`, `host:port` or `host` (port 8770).
    /// The token is sent with every request.
    pub fn new(base: &str, token: Option<String>) -> Result<Self, ClientError> {
        let base = Base::parse(base)?;
        let token = match token {
            None => None,
            Some(text) => Some(Token::parse(&text)?),
        };
        Ok(Self { base, token, timeout: Self::TIMEOUT, node: None })
    }

    /// The same with another time limit: for the whole request, or for bytes and events until the first of them come.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same asking `node`: the daemon at the base passes requests on over its links, so that a node behind NAT is
    /// reached too.
    #[must_use]
    pub fn through(&self, node: &NodeId) -> Self {
        Self { node: Some(node.clone()), ..self.clone() }
    }

    /// The URL of a path such as `/status`, as error messages show it: without the query.
    pub fn url(&self, path: &str) -> String {
        let path = path.split('?').next().unwrap_or_default();
        format!("{}{}", self.base, self.path(path))
    }

    /// Whether requests carry a token.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// `GET` that answers JSON.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(path, self.request(Method::GET, path, None, Bytes::new())?).await
    }

    /// `POST` of JSON that answers JSON.
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body)
            .map_err(|e| ClientError::Unsendable { url: self.url(path), reason: e.to_string() })?;
        self.json(path, self.request(Method::POST, path, Some("application/json"), body.into())?).await
    }

    /// `GET` that answers bytes. The time limit is for the answer to begin, and then for each part of it.
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        let url = self.url(path);
        let answer = self.send(&url, self.request(Method::GET, path, None, Bytes::new())?).await?;
        let status = answer.status;
        let body = answer.bytes(&url, Self::MAX_BYTES, self.timeout).await?;
        if status.is_success() { Ok(body) } else { Err(self.refusal(url, status, &body)) }
    }

    /// `POST` of bytes that answers JSON.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Bytes) -> Result<T, ClientError> {
        self.json(path, self.request(Method::POST, path, Some("application/octet-stream"), body)?).await
    }

    /// `GET` that answers JSON under any status: `/health` tells of a node that is not well with 503. Only an answer in the
    /// error shape is an error.
    pub async fn get_json_any<T: DeserializeOwned>(&self, path: &str) -> Result<(StatusCode, T), ClientError> {
        let url = self.url(path);
        let request = self.request(Method::GET, path, None, Bytes::new())?;
        self.within(&url, async {
            let (status, body) = self.whole(&url, request).await?;
            if !status.is_success() && serde_json::from_slice::<ErrorBody>(&body).is_ok() {
                return Err(self.refusal(url.clone(), status, &body));
            }
            Ok((status, read(&url, status, &body)?))
        })
        .await
    }

    /// Follows the event log from after `since`, only events of type `kind` if one is named. The first connection is made
    /// before this returns; lost ones are made again from the last event that was seen.
    pub async fn stream_events(&self, since: u64, kind: Option<&str>) -> Result<EventStream, ClientError> {
        // It becomes part of the query as it is.
        if let Some(kind) = kind.filter(|k| !k.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
            let reason = format!("{kind:?} is not the name of a type of events");
            return Err(ClientError::Unsendable { url: self.url(events::PATH), reason });
        }
        EventStream::connect(self.clone(), since, kind.map(str::to_owned)).await
    }

    fn path(&self, path: &str) -> String {
        match &self.node {
            None => path.to_owned(),
            Some(node) => format!("/api/node/{node}{path}"),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&'static str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.path(path))
            .header(header::HOST, self.base.authority())
            .header(header::CONNECTION, "close")
            .header(header::USER_AGENT, concat!("ringrift-api/", env!("CARGO_PKG_VERSION")));
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(Token(value)) = &self.token {
            request = request.header(header::AUTHORIZATION, value);
        }
        request
            .body(Full::new(body))
            .map_err(|e| ClientError::Unsendable { url: self.url(path), reason: e.to_string() })
    }

    async fn json<T: DeserializeOwned>(&self, path: &str, request: Request<Full<Bytes>>) -> Result<T, ClientError> {
        let url = self.url(path);
        self.within(&url, async {
            let (status, body) = self.whole(&url, request).await?;
            if !status.is_success() {
                return Err(self.refusal(url.clone(), status, &body));
            }
            read(&url, status, &body)
        })
        .await
    }

    async fn whole(&self, url: &str, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), ClientError> {
        let answer = self.send(url, request).await?;
        Ok((answer.status, answer.bytes(url, Self::MAX_JSON, self.timeout).await?))
    }

    async fn send(&self, url: &str, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
        exchange::send(&self.base, url, request, self.timeout).await
    }

    async fn within<T>(&self, url: &str, work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        tokio::time::timeout(self.timeout, work)
            .await
            .unwrap_or_else(|_| Err(ClientError::Timeout { url: url.to_owned(), after: self.timeout }))
    }

    fn refusal(&self, url: String, status: StatusCode, body: &[u8]) -> ClientError {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) if status == StatusCode::UNAUTHORIZED => {
                ClientError::Unauthorized { url, body: Box::new(body), token_sent: self.has_token() }
            }
            Ok(body) => ClientError::Answer { url, status, body: Box::new(body) },
            Err(_) => ClientError::NotTheApi { url, status, reason: error::excerpt(body) },
        }
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self, ClientError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim())).map_err(|_| ClientError::BadToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

fn read<T: DeserializeOwned>(url: &str, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|e| ClientError::NotTheApi {
        url: url.to_owned(),
        status,
        reason: if e.is_data() {
            format!("the answer is not what this version expects: {e}")
        } else {
            error::excerpt(body)
        },
    })
}

/// The header by which a lost event stream says how far it had come.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
