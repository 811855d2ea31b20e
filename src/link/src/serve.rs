use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    Protocol, Stream,
    frame::{self, Answer, FrameError, Opening},
    link::Link,
    links::Inner,
};

/// No call is worked on longer, whatever its caller asks for.
const LONGEST_CALL: Duration = Duration::from_mins(10);

impl Inner {
    /// Takes in a stream that the peer opened. Must not block: it runs within the connection's poll.
    pub(crate) fn serve(self: &Arc<Self>, link: &Arc<Link>, stream: yamux::Stream) {
        let Some(stream) = link.accept(stream) else {
            // Dropped, which the peer sees as a reset of this stream alone.
            tracing::warn!(peer = %link.peer.node, addr = %link.peer.addr, "refused a stream: too many are in use");
            return;
        };
        let (inner, link) = (Arc::clone(self), Arc::clone(link));
        self.tasks.spawn(async move {
            tokio::select! {
                served = inner.serve_stream(&link, stream) => match served {
                    Ok(()) => {}
                    Err(FrameError::Io(error)) => {
                        tracing::debug!(peer = %link.peer.node, %error, "a stream ended early");
                    }
                    Err(error) => link.violation(error.to_string()),
                },
                () = inner.shutdown.cancelled() => {}
            }
        });
    }

    async fn serve_stream(self: &Arc<Self>, link: &Arc<Link>, mut stream: Stream) -> Result<(), FrameError> {
        let within = self.limits.handshake_timeout;
        let mut opening = [0; Opening::LEN];
        let Ok(read) = timeout(within, stream.read_exact(&mut opening)).await else {
            return Err(FrameError::Malformed(format!(
                "it opened a stream and did not say for what within {within:?}"
            )));
        };
        read?;
        match Opening::decode(opening)? {
            Opening::Call { protocol, deadline } => {
                let by = Instant::now() + deadline.min(LONGEST_CALL);
                self.serve_call(link, stream, protocol, by).await
            }
            Opening::Stream { protocol } => {
                self.handler.stream(link.peer.clone(), protocol, stream).await;
                Ok(())
            }
            Opening::Control => {
                stream.uncount();
                if link.give_control(stream) {
                    Ok(())
                } else {
                    Err(FrameError::Malformed("a second control stream".to_owned()))
                }
            }
            Opening::RelayTo => self.relay_to(link, stream).await,
            Opening::RelayFrom => self.relay_from(link, stream).await,
        }
    }

    async fn serve_call(
        &self,
        link: &Link,
        mut stream: Stream,
        protocol: Protocol,
        by: Instant,
    ) -> Result<(), FrameError> {
        // The link's limit is the smaller of both ends', and the peer knows both.
        let Ok(request) = timeout_at(by, frame::read(&mut stream, link.max_frame)).await else { return Ok(()) };
        let answer = match timeout_at(by, self.handler.call(&link.peer, protocol, request?)).await {
            Ok(Ok(answer)) if answer.len() > link.max_frame => Answer::TooLarge(answer.len() as u64),
            Ok(Ok(answer)) => Answer::Done(answer),
            Ok(Err(reason)) => Answer::Failed(shortened(reason, link.max_frame)),
            Err(_) => Answer::Late,
        };
        // A caller that has given up takes no answer and says so to nobody: its end of the stream came with the request.
        let taken_by = by + self.limits.handshake_timeout;
        timeout_at(taken_by, respond(&mut stream, &answer)).await.unwrap_or(Ok(()))
    }
}

/// Sends an answer and ends this side of the stream.
pub(crate) async fn respond(stream: &mut Stream, answer: &Answer) -> Result<(), FrameError> {
    stream.write_all(&answer.encode()).await?;
    stream.shutdown().await?;
    Ok(())
}

/// Sends a request's first bytes in one piece.
pub(crate) async fn request(stream: &mut Stream, opening: Opening, body: &[u8]) -> std::io::Result<()> {
    let mut buffer = bytes::BytesMut::with_capacity(Opening::LEN + 4 + body.len());
    buffer.extend_from_slice(&opening.encode());
    frame::put(&mut buffer, body);
    stream.write_all(&buffer).await?;
    stream.flush().await
}

fn shortened(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

/// An answer without content.
pub(crate) const NOTHING: Answer = Answer::Done(Bytes::new());
