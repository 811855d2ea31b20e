use std::{error::Error, io, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Base, ClientError};

/// The head of an answer, its body yet to be read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
}

/// Sends one request on a connection of its own and waits for the head of the answer, for at most `limit`.
pub(super) async fn send<B>(base: &Base, url: &str, request: Request<B>, limit: Duration) -> Result<Answer, ClientError>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let broken = |e: hyper::Error| ClientError::Unreachable { url: url.to_owned(), reason: lost(&e) };
    let exchange = async {
        let socket = TcpStream::connect((base.host(), base.port())).await.map_err(|e| unconnected(url, &e))?;
        let _ = socket.set_nodelay(true);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
        // It ends with the answer's body, or when that is dropped; its error is the one that the request sees.
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body })
    };
    timeout(limit, exchange).await.unwrap_or_else(|_| Err(ClientError::Timeout { url: url.to_owned(), after: limit }))
}

impl Answer {
    /// The whole body, of at most `max` bytes, no part of which takes longer than `limit`.
    pub(super) async fn bytes(mut self, url: &str, max: usize, limit: Duration) -> Result<Bytes, ClientError> {
        let too_large = |status| ClientError::NotTheApi {
            url: url.to_owned(),
            status,
            reason: format!("the answer is larger than {max} bytes"),
        };
        if self.body.size_hint().lower() > max as u64 {
            return Err(too_large(self.status));
        }
        let mut bytes = BytesMut::new();
        while let Some(part) = self.part(url, limit).await? {
            if bytes.len() + part.len() > max {
                return Err(too_large(self.status));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    /// The next part of the body; `None` at its end.
    pub(super) async fn part(&mut self, url: &str, limit: Duration) -> Result<Option<Bytes>, ClientError> {
        loop {
            let frame = timeout(limit, self.body.frame())
                .await
                .map_err(|_| ClientError::Timeout { url: url.to_owned(), after: limit })?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(ClientError::Unreachable { url: url.to_owned(), reason: lost(&error) });
                }
                // Trailers are of no interest.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

fn unconnected(url: &str, error: &io::Error) -> ClientError {
    let url = url.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ClientError::Refused { url },
        io::ErrorKind::TimedOut => ClientError::Unreachable { url, reason: "the host does not answer".to_owned() },
        _ => ClientError::Unreachable { url, reason: error.to_string() },
    }
}

/// hyper's own words say little without their causes.
fn lost(error: &hyper::Error) -> String {
    let mut text = format!("the connection broke: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
