use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep};

use crate::{MinimumRate, error::HttpError};

/// How long a refused upload may go on sending before its connection is closed over it.
const DRAIN: Duration = Duration::from_secs(5);

/// How many bytes may still be read. Whoever parses a body keeps what it cannot make sense of yet: this is the limit of that.
#[derive(Clone, Default)]
pub(crate) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// The body of an upload, from a client that must not be slower than a rate. Only time in which the client is waited for counts: a slow
/// disk is not its fault.
///
/// It gives one piece at a time and then a pause: the parser reads until it is told to wait, and would take a fast client's whole
/// file into memory.
pub(crate) struct Intake {
    body: BodyDataStream,
    rate: MinimumRate,
    /// The present window: how much of it the client has used up, and what came in it.
    waited: Duration,
    came: u64,
    waiting: Option<(Pin<Box<Sleep>>, Instant)>,
    begun: bool,
    pause: bool,
    allowance: Allowance,
    ended: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
    TooSlow,
}

impl Intake {
    pub(crate) fn new(body: Body, rate: MinimumRate) -> Self {
        let body = body.into_data_stream();
        Self {
            body,
            rate,
            waited: Duration::ZERO,
            came: 0,
            waiting: None,
            begun: false,
            pause: false,
            allowance: Allowance::default(),
            ended: None,
        }
    }

    /// The limit of what is read; nothing is until it is set.
    pub(crate) fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// Why it ended, if that is the client's slowness.
    pub(crate) fn too_slow(&self) -> Option<HttpError> {
        let MinimumRate { bytes_per_second, window } = self.rate;
        (self.ended == Some(End::TooSlow))
            .then(|| HttpError::TooSlow(format!("fewer than {bytes_per_second} bytes a second came for {window:?}")))
    }

    /// Reads what still comes, for a while, so that the client gets to hear why its upload is not taken. One that waits to be told to go on
    /// (`Expect: 100-continue`) has not begun to send and is not made to.
    pub(crate) async fn drain(&mut self) {
        self.allowance.set(u64::MAX);
        if self.begun && self.ended.is_none() {
            let rest = async { while self.next().await.is_some_and(|piece| piece.is_ok()) {} };
            let _ = tokio::time::timeout(DRAIN, rest).await;
        }
    }

    /// The client used up its window: whether enough came in it.
    fn is_slow(&mut self) -> bool {
        let slow = self.came < self.rate.bytes();
        (self.waited, self.came) = (Duration::ZERO, 0);
        slow
    }

    fn end(&mut self, end: End) {
        self.ended = Some(end);
        self.waiting = None;
    }
}

impl Stream for Intake {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.begun = true;
        if this.ended.is_some() {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut this.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match this.body.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                this.came += bytes.len() as u64;
                this.pause = true;
                if !this.allowance.take(bytes.len() as u64) {
                    // Not an end: what comes may still be drained.
                    return Poll::Ready(Some(Err("the head of a part is too long".into())));
                }
                if let Some((_, since)) = this.waiting.take() {
                    this.waited += since.elapsed();
                    if this.waited >= this.rate.window && this.is_slow() {
                        this.end(End::TooSlow);
                        return Poll::Ready(Some(Err("the client is too slow".into())));
                    }
                }
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.end(End::Broken);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => {
                this.end(End::Whole);
                Poll::Ready(None)
            }
            Poll::Pending => loop {
                let left = this.rate.window.saturating_sub(this.waited);
                let (timer, _) = this.waiting.get_or_insert_with(|| (Box::pin(sleep(left)), Instant::now()));
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.waiting = None;
                if this.is_slow() {
                    this.end(End::TooSlow);
                    return Poll::Ready(Some(Err("the client is too slow".into())));
                }
            },
        }
    }
}
