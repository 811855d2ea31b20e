use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep},
};

use crate::outq;

/// The slowest that a client may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumRate {
    /// Bytes a second, on average over a window.
    pub bytes_per_second: u64,
    /// How long a client may stand still before it is judged.
    pub window: Duration,
}

impl MinimumRate {
    /// Bytes that must have moved in one window.
    pub(crate) fn bytes(&self) -> u64 {
        (self.bytes_per_second as f64 * self.window.as_secs_f64()) as u64
    }
}

/// Judges whether the other end of a connection reads. A client that keeps up never starts its timer.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: MinimumRate,
    /// Bytes that the socket took.
    sent: u64,
    /// Since the socket is full: when to look, and what had arrived when it began.
    window: Option<(Pin<Box<Sleep>>, u64)>,
}

impl Pace {
    pub(crate) fn new(rate: MinimumRate) -> Self {
        Self { rate, sent: 0, window: None }
    }

    /// The socket took bytes.
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.sent += bytes as u64;
        self.window = None;
    }

    /// The socket is full. Ready when the client read too little for too long.
    pub(crate) fn poll_stuck(&mut self, cx: &mut Context<'_>, socket: &TcpStream) -> Poll<io::Error> {
        loop {
            let (sent, rate) = (self.sent, self.rate);
            let (timer, before) =
                self.window.get_or_insert_with(|| (Box::pin(sleep(rate.window)), arrived(sent, socket)));
            ready!(timer.as_mut().poll(cx));
            let now = arrived(sent, socket);
            if now.saturating_sub(*before) < rate.bytes() {
                let MinimumRate { bytes_per_second, window } = rate;
                let why = format!("the client took fewer than {bytes_per_second} bytes a second for {window:?}");
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            // It reads, though slower than the socket's buffer gets room.
            timer.as_mut().reset(Instant::now() + rate.window);
            *before = now;
        }
    }
}

/// Bytes that the other end has acknowledged. Those that the socket still holds count for nobody.
fn arrived(sent: u64, socket: &TcpStream) -> u64 {
    sent.saturating_sub(outq::bytes(socket).unwrap_or(0))
}
