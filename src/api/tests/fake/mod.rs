//! A daemon that says what a test tells it to.

#![allow(dead_code, reason = "each test program uses its part")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};

/// Listens on a loopback port until it is dropped.
pub(crate) struct Fake {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    end: End,
}

/// What comes after the body.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Proper,
    /// The connection stays open, and nothing more comes.
    Silence,
    /// Not even a head.
    NoHead,
}

impl Answer {
    pub(crate) fn json(value: &impl Serialize) -> Self {
        Self::text("application/json", serde_json::to_vec(value).unwrap())
    }

    pub(crate) fn text(content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into(), end: End::Proper }
    }

    /// A stream of events that ends after `text`.
    pub(crate) fn events(text: &str) -> Self {
        Self::text("text/event-stream", text)
    }

    pub(crate) fn silence() -> Self {
        Self { end: End::NoHead, ..Self::text("", "") }
    }

    #[must_use]
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = StatusCode::from_u16(status).unwrap();
        self
    }

    /// The body does not end.
    #[must_use]
    pub(crate) fn and_silence(mut self) -> Self {
        self.end = End::Silence;
        self
    }
}

impl Fake {
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (seen.clone(), Arc::new(answer));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| serve(request, &log, &*answer));
                    // A client that goes away is the client's business.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { addr, seen, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    request: Request<Incoming>,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Answer + Send + Sync),
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>>, Infallible> {
    let (head, body) = request.into_parts();
    let seen = Seen {
        method: head.method,
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await.unwrap().to_bytes(),
    };
    let answer = answer(&seen);
    log.lock().unwrap().push(seen);
    if answer.end == End::NoHead {
        std::future::pending::<()>().await;
    }
    let part = stream::iter([Ok(Frame::data(Bytes::from(answer.body)))]);
    let body = match answer.end {
        End::Proper | End::NoHead => part.left_stream(),
        End::Silence => part.chain(stream::pending()).right_stream(),
    };
    let response = Response::builder().status(answer.status).header("content-type", answer.content_type);
    Ok(response.body(StreamBody::new(body)).unwrap())
}
