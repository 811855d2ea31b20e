use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use ringrift_blob::Digest;
use tokio::sync::Notify;

use crate::storage::Supply;
use crate::wire::{ChunkId, Farewell, Frame, MAX_NEWS, encode};

/// Bytes of control frames that are written at once.
const BATCH: usize = 64 << 10;

/// What is to be written to one peer. Two queues: control frames and news overtake chunks.
///
/// It needs no bound of its own. Requests are bounded by the planner, refusals and chunks by what the peer may ask for at
/// once, news by the chunks that there are (they are merged here until they are written), and a peer that takes no bytes
/// is dropped.
#[derive(Default)]
pub(crate) struct Outbox {
    queues: Mutex<Queues>,
    wake: Notify,
}

#[derive(Default)]
struct Queues {
    control: VecDeque<Frame>,
    news: BTreeMap<Digest, Vec<u32>>,
    chunks: VecDeque<Job>,
    farewell: Option<Farewell>,
}

/// A chunk to send.
pub(crate) struct Job {
    pub(crate) which: ChunkId,
    pub(crate) length: u32,
    pub(crate) supply: Arc<dyn Supply>,
}

impl Outbox {
    /// Sends a frame before all chunks.
    pub(crate) fn push(&self, frame: Frame) {
        self.change(|queues| {
            // What was to be told of this blob is out of date, or in what comes now.
            if let Frame::Has { sha256, .. } | Frame::Forget(sha256) = &frame {
                queues.news.remove(sha256);
            }
            queues.control.push_back(frame);
        });
    }

    /// Tells that we have this chunk.
    pub(crate) fn announce(&self, which: ChunkId) {
        self.change(|queues| queues.news.entry(which.sha256).or_default().push(which.chunk));
    }

    /// Sends a chunk when its turn comes.
    pub(crate) fn serve(&self, job: Job) {
        self.change(|queues| queues.chunks.push_back(job));
    }

    /// Takes a chunk back, if it was not begun.
    pub(crate) fn withdraw(&self, which: ChunkId) -> bool {
        let mut queues = self.queues();
        let at = queues.chunks.iter().position(|job| job.which == which);
        at.and_then(|at| queues.chunks.remove(at)).is_some()
    }

    /// Takes all chunks of a blob back that were not begun.
    pub(crate) fn withdraw_all(&self, sha256: &Digest) -> Vec<ChunkId> {
        let mut queues = self.queues();
        let (gone, kept) = std::mem::take(&mut queues.chunks).into_iter().partition(|job| job.which.sha256 == *sha256);
        queues.chunks = kept;
        drop(queues);
        VecDeque::into_iter(gone).map(|job| job.which).collect()
    }

    /// Says goodbye after the control frames; chunks that wait are not sent.
    pub(crate) fn bye(&self, farewell: Farewell) {
        self.change(|queues| {
            queues.chunks.clear();
            queues.farewell.get_or_insert(farewell);
        });
    }

    /// Appends the control frames that wait, about 64 KiB at once, and calls `answered` for each refusal.
    pub(crate) fn take_control(&self, buffer: &mut BytesMut, mut answered: impl FnMut(ChunkId)) {
        let mut queues = self.queues();
        while buffer.len() < BATCH
            && let Some(frame) = queues.control.pop_front()
        {
            if let Frame::Refused { which, .. } = &frame {
                answered(*which);
            }
            encode(&frame, buffer);
        }
        while buffer.len() < BATCH
            && let Some((sha256, mut chunks)) = queues.news.pop_first()
        {
            if chunks.len() > MAX_NEWS {
                queues.news.insert(sha256, chunks.split_off(MAX_NEWS));
            }
            encode(&Frame::Have { sha256, chunks }, buffer);
        }
    }

    /// The next chunk to send.
    pub(crate) fn take_chunk(&self) -> Option<Job> {
        self.queues().chunks.pop_front()
    }

    /// How the session is to end, if it is.
    pub(crate) fn farewell(&self) -> Option<Farewell> {
        self.queues().farewell
    }

    /// Returns when there is something new. May return once too often.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    fn change(&self, how: impl FnOnce(&mut Queues)) {
        how(&mut self.queues());
        self.wake.notify_one();
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
