use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ringrift_config::NodeId;
use tokio::io::{AsyncReadExt, ReadHalf};
use tokio::time::{Instant, timeout};

use crate::breach::{Breach, Ended};
use crate::buffers::Buffer;
use crate::ledger::{Due, Refusal};
use crate::session::{BoxedStream, Came, Common, Handle, News, SessionId};
use crate::storage::{Put, StorageError};
use crate::wire::{ChunkId, Frame, Next, decode};
use crate::writer::PIECE;

/// Bytes that are read at once while no chunk is expected: a header with what follows costs one call.
const SIP: usize = 8 << 10;
/// Frames that are not chunks, a second: ten times what a line of 10 Gbit/s has reasons for. A bitmap counts by its length.
const FRAMES_PER_SECOND: u32 = 50_000;

/// The receiving half of a session. It holds at most one chunk, and one control frame ([`crate::wire::MAX_CONTROL`]).
pub(crate) struct Reader {
    read: ReadHalf<BoxedStream>,
    id: SessionId,
    peer: NodeId,
    common: Arc<Common>,
    handle: Arc<Handle>,
    staged: BytesMut,
    flood: Flood,
}

impl Reader {
    pub(crate) fn new(
        read: ReadHalf<BoxedStream>,
        id: SessionId,
        peer: NodeId,
        common: Arc<Common>,
        handle: Arc<Handle>,
    ) -> Self {
        Self { read, id, peer, common, handle, staged: BytesMut::new(), flood: Flood::new(Instant::now()) }
    }

    /// Reads until the peer leaves, fails or breaks the protocol.
    pub(crate) async fn run(&mut self) -> Ended {
        let Err(ended) = self.read_on().await;
        ended
    }

    async fn read_on(&mut self) -> Result<std::convert::Infallible, Ended> {
        let patience = self.common.times.greeting;
        let greeting = timeout(patience, self.next()).await.map_err(|_| Ended::Silent(patience))??;
        match greeting {
            Next::Frame(Frame::Hello { node, instance }) if node == self.peer => self.tell(News::Up(instance)).await,
            Next::Frame(Frame::Hello { node, .. }) => return Err(Breach::Name(node).into()),
            Next::Frame(Frame::Bye(farewell)) => return Err(Ended::Farewell(farewell)),
            _ => return Err(Breach::Greeting.into()),
        }
        loop {
            match self.next().await? {
                Next::Frame(frame) => self.take(frame).await?,
                Next::Data { which, length } => self.chunk(which, length).await?,
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Result<(), Ended> {
        let weight = if let Frame::Has { bits, .. } = &frame { 1 + bits.len() as u32 / 256 } else { 1 };
        self.flood.count(weight, Instant::now())?;
        match &frame {
            Frame::KeepAlive => return Ok(()),
            Frame::Hello { .. } => return Err(Breach::Greeting.into()),
            Frame::Bye(farewell) => return Err(Ended::Farewell(*farewell)),
            Frame::Request(which) => self.handle.ledger.asked(*which)?,
            Frame::Refused { which, busy } => {
                let busy = match self.handle.ledger.refused(*which)? {
                    Refusal::Real => *busy,
                    Refusal::Stale => true,
                    Refusal::Expected => return Ok(()),
                };
                self.tell(News::Refused { which: *which, busy }).await;
                return Ok(());
            }
            Frame::Has { .. } | Frame::Have { .. } | Frame::Cancel(_) | Frame::Forget(_) => {}
        }
        self.tell(News::Said(frame)).await;
        Ok(())
    }

    async fn chunk(&mut self, which: ChunkId, length: u32) -> Result<(), Ended> {
        let due = self.handle.ledger.comes(which, length)?;
        let mut chunk = self.common.buffers.take(length as usize);
        let staged = self.staged.len().min(chunk.len());
        self.common.down.take(staged as u64).await;
        chunk[..staged].copy_from_slice(&self.staged.split_to(staged));
        let mut filled = staged;
        while filled < chunk.len() {
            let limited = self.common.down.is_limited();
            let end = if limited { chunk.len().min(filled + PIECE) } else { chunk.len() };
            let read = timeout(self.common.times.silence, self.read.read(&mut chunk[filled..end])).await;
            let read = self.some(read)?;
            // Paid for afterwards: what was read is known only then, and the debt holds back the next piece.
            self.common.down.take(read as u64).await;
            filled += read;
        }
        self.store(which, due, chunk).await;
        Ok(())
    }

    /// Has it verified and written. Returns when a thread does that, so that the peer is not asked to send faster than this
    /// node verifies.
    async fn store(&mut self, which: ChunkId, due: Due, chunk: Buffer) {
        let Some(sink) = due.sink.upgrade() else { return };
        let Ok(permit) = Arc::clone(&self.common.verifying).acquire_owned().await else { return };
        let (news, id, peer) = (self.common.news.clone(), self.id, self.peer.clone());
        tokio::task::spawn_blocking(move || {
            let put = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sink.put(which.chunk, &chunk)));
            let put = put.unwrap_or_else(|_| Put::NotStored(StorageError::Failed("verifying it panicked".to_owned())));
            let came = Came { peer, which, length: chunk.len() as u32, life: due.life, put };
            // The sink first: whoever hears of this must be able to finish it.
            drop((chunk, sink, permit));
            let _ = news.blocking_send((id, News::Came(came)));
        });
    }

    /// The next frame, or the header of a chunk.
    async fn next(&mut self) -> Result<Next, Ended> {
        loop {
            if let Some(next) = decode(&mut self.staged).map_err(Breach::from)? {
                return Ok(next);
            }
            self.staged.reserve(SIP);
            let read = timeout(self.common.times.silence, self.read.read_buf(&mut self.staged)).await;
            self.some(read)?;
        }
    }

    fn some(&self, read: Result<std::io::Result<usize>, tokio::time::error::Elapsed>) -> Result<usize, Ended> {
        match read {
            Ok(Ok(0)) => Err(Ended::Closed),
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(Ended::Broken(error.to_string())),
            Err(_) => Err(Ended::Silent(self.common.times.silence)),
        }
    }

    async fn tell(&mut self, news: News) {
        // Waits while the engine is behind: a peer that says too much is read more slowly.
        let _ = self.common.news.send((self.id, news)).await;
    }
}

/// Counts frames, to notice those that come without end.
#[derive(Debug)]
struct Flood {
    since: Instant,
    frames: u32,
}

impl Flood {
    fn new(since: Instant) -> Self {
        Self { since, frames: 0 }
    }

    fn count(&mut self, weight: u32, now: Instant) -> Result<(), Breach> {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
        self.frames = self.frames.saturating_add(weight);
        if self.frames > FRAMES_PER_SECOND { Err(Breach::Flood(FRAMES_PER_SECOND)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_without_end_are_noticed_and_many_are_not() {
        let start = Instant::now();
        let mut flood = Flood::new(start);
        for second in 0..10 {
            for _ in 0..FRAMES_PER_SECOND {
                flood.count(1, start + Duration::from_secs(second)).unwrap();
            }
        }
        let last = start + Duration::from_millis(9999);
        assert_eq!(flood.count(1, last), Err(Breach::Flood(FRAMES_PER_SECOND)));
        assert!(Flood::new(start).count(u32::MAX, start).is_err());
    }
}
