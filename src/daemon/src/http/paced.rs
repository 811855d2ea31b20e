//! Bodies of requests that must not take for ever.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// After the time that it has to begin, a body must come at this rate, in bytes a second: slower than any line that a node can live with.
const RATE: u64 = 1024;

/// A body whose sender loses the connection when it is too slow.
pub(super) struct Paced<B> {
    body: B,
    /// When it is too late, which each byte puts off; `None` where the sender is trusted.
    late: Option<Pin<Box<Sleep>>>,
}

impl<B> Paced<B> {
    /// One that has `patience` to begin.
    pub(super) fn new(body: B, patience: Option<Duration>) -> Self {
        Self { body, late: patience.map(|patience| Box::pin(sleep(patience))) }
    }
}

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(late) = &mut self.late else { return polled.map_err(Into::into) };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let came = frame.data_ref().map_or(0, Bytes::len) as u64;
                let due: Instant = late.deadline() + Duration::from_micros(came * 1_000_000 / RATE);
                late.as_mut().reset(due);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending if late.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Some(Err("the request's body comes too slowly".into())))
            }
            other => other.map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
