//! Streams between nodes over the simulated network: what is sent comes in order and late, waits while the line is cut, and ends with
//! either process, or when nothing has come through for too long.
//!
//! How late a byte comes follows from its line and from the moment it was sent, not from how many others were under way: the order in
//! which tokio wakes readers at the same moment is its own, and must not matter.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use ringrift_config::NodeId;
use ringrift_watch::BoxedStream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::net::Net;

/// What either end's system holds of bytes that were not taken yet, and what is on the way, bytes.
const WINDOW: usize = 64 << 10;

/// A connection on which nothing comes through for so long ends: as `TCP_USER_TIMEOUT` of the links has it.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// A lost packet comes again after this.
const RETRANSMITTED: Duration = Duration::from_millis(300);

/// How long it is tried to connect.
const CONNECT: Duration = Duration::from_secs(4);

/// Whether a process is there. Clones are the same one's.
#[derive(Clone, Default)]
pub(crate) struct Up {
    ended: CancellationToken,
    silent: Arc<AtomicBool>,
}

impl Up {
    /// The process is gone, and its system says so to whoever is connected.
    pub(crate) fn end(&self) {
        self.ended.cancel();
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// The whole machine is gone: nobody is told.
    pub(crate) fn end_without_power(&self) {
        self.silent.store(true, Ordering::Relaxed);
        self.end();
    }
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) net: Arc<Net>,
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    /// Tells this connection's chances from those of all others.
    pub(crate) dice: u64,
}

impl Line {
    fn back(&self) -> Self {
        Self { net: self.net.clone(), from: self.to.clone(), to: self.from.clone(), dice: self.dice ^ u64::MAX }
    }

    /// How long what is sent now is under way.
    fn lag(&self) -> Duration {
        let moment = self.net.began.elapsed().as_millis() as u64;
        let mut dice = SmallRng::seed_from_u64(self.dice ^ moment.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (lost, most) = self.net.faults(|faults| (faults.lost, faults.delay.as_micros() as u64));
        let late = Duration::from_micros(100 + if most == 0 { 0 } else { dice.random_range(0..most) });
        let mut again = Duration::ZERO;
        while again < DEAD_AFTER && dice.random_range(0..100) < lost {
            again += RETRANSMITTED;
        }
        late + again
    }

    /// Waits until the line is so.
    async fn until(&self, cut: bool) {
        loop {
            let changed = self.net.changed.notified();
            if self.net.is_cut(&self.from, &self.to) == cut {
                return;
            }
            changed.await;
        }
    }

    /// Returns when the line has been cut for too long.
    async fn dead(&self) {
        loop {
            self.until(true).await;
            if timeout(DEAD_AFTER, self.until(false)).await.is_err() {
                return;
            }
        }
    }

    /// One way of a message that is sent again until it arrives.
    async fn arrives(&self) {
        sleep(self.lag()).await;
        self.until(false).await;
    }

    /// Connects; `serve` is given the other end, in the process there.
    pub(crate) async fn open<F>(
        self,
        ours: Up,
        serve: impl FnOnce(BoxedStream) -> Result<(F, Up), String>,
    ) -> Result<BoxedStream, String>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.net.link(&self.from, &self.to)?;
        let back = self.back();
        if timeout(CONNECT, self.arrives()).await.is_err() {
            return Err(format!("{} did not answer", self.to));
        }
        if self.net.is_dark(&self.to) {
            sleep(CONNECT).await;
            return Err(format!("{} did not answer", self.to));
        }
        let (near, near_line) = duplex(WINDOW);
        let (far, far_line) = duplex(WINDOW);
        let served = serve(Box::new(far));
        if timeout(CONNECT, back.arrives()).await.is_err() {
            return Err(format!("{} did not answer", self.to));
        }
        let (serving, theirs) = served?;
        tokio::spawn(async move {
            let ((mut near_read, mut near_write), (mut far_read, mut far_write)) = (split(near_line), split(far_line));
            tokio::select! {
                biased;
                () = ours.ended.cancelled() => {}
                () = theirs.ended.cancelled() => {}
                () = self.carry(&mut near_read, &mut far_write) => {}
                () = back.carry(&mut far_read, &mut near_write) => {}
                () = self.dead() => {}
                () = back.dead() => {}
            }
            if [ours, theirs].iter().any(Up::is_silent) {
                sleep(DEAD_AFTER).await;
            }
        });
        tokio::spawn(serving);
        Ok(Box::new(near))
    }

    /// Carries one direction to its end.
    async fn carry(&self, read: &mut (impl AsyncRead + Unpin), write: &mut (impl AsyncWrite + Unpin)) {
        let mut under_way: VecDeque<(Instant, Bytes)> = VecDeque::new();
        let (mut bytes, mut ended, mut last) = (BytesMut::new(), false, Instant::now());
        loop {
            let held: usize = under_way.iter().map(|(_, bytes)| bytes.len()).sum();
            let next = under_way.front().map(|(due, _)| *due);
            bytes.reserve(WINDOW);
            tokio::select! {
                biased;
                came = read.read_buf(&mut bytes), if !ended && held < WINDOW => {
                    ended = !came.is_ok_and(|count| count > 0);
                    last = last.max(Instant::now() + self.lag());
                    under_way.push_back((last, bytes.split().freeze()));
                }
                () = sleep_until(next.unwrap_or(last)), if next.is_some() => {
                    self.until(false).await;
                    let Some((_, bytes)) = under_way.pop_front() else { return };
                    if bytes.is_empty() {
                        let _ = write.shutdown().await;
                        return;
                    }
                    if write.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                else => return,
            }
        }
    }
}
