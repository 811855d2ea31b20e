use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::breach::Ended;
use crate::buffers::Buffer;
use crate::session::{BoxedStream, Common, Handle, News, SessionId};
use crate::wire::{ChunkId, DATA_HEADER, Frame, encode, encode_data_header};

/// Chunks that are read ahead of the one that is written.
const AHEAD: usize = 2;
/// Bytes that pass a limited line at once.
pub(crate) const PIECE: usize = 64 << 10;

/// The sending half of a session.
pub(crate) struct Writer {
    write: WriteHalf<BoxedStream>,
    id: SessionId,
    common: Arc<Common>,
    handle: Arc<Handle>,
    ahead: VecDeque<(ChunkId, JoinHandle<io::Result<Buffer>>)>,
}

impl Writer {
    pub(crate) fn new(write: WriteHalf<BoxedStream>, id: SessionId, common: Arc<Common>, handle: Arc<Handle>) -> Self {
        Self { write, id, common, handle, ahead: VecDeque::new() }
    }

    /// Writes until the goodbye is out or the stream fails.
    pub(crate) async fn run(mut self) -> Ended {
        let Err(ended) = self.write_on().await;
        ended
    }

    async fn write_on(&mut self) -> Result<std::convert::Infallible, Ended> {
        let mut buffer = BytesMut::new();
        let hello = Frame::Hello { node: self.common.node.clone(), instance: self.common.instance };
        encode(&hello, &mut buffer);
        loop {
            let ledger = &self.handle.ledger;
            self.handle.outbox.take_control(&mut buffer, |which| ledger.answered(which));
            if !buffer.is_empty() {
                self.all(&buffer).await?;
                buffer.clear();
                continue;
            }
            if let Some(farewell) = self.handle.outbox.farewell() {
                encode(&Frame::Bye(farewell), &mut buffer);
                self.all(&buffer).await?;
                // The peer may be gone already; it was told all the same.
                let _ = timeout(self.common.times.silence, self.write.shutdown()).await;
                return Err(Ended::Dismissed(farewell));
            }
            self.read_ahead();
            let handle = Arc::clone(&self.handle);
            if let Some((which, reading)) = self.ahead.front_mut() {
                let which = *which;
                tokio::select! {
                    biased;
                    chunk = reading => {
                        self.ahead.pop_front();
                        let chunk = chunk.unwrap_or_else(|error| Err(io::Error::other(error)));
                        self.answer(which, chunk).await?;
                    }
                    () = handle.outbox.changed() => {}
                }
            } else {
                tokio::select! {
                    () = handle.outbox.changed() => {}
                    () = sleep(self.common.times.keep_alive) => encode(&Frame::KeepAlive, &mut buffer),
                }
            }
        }
    }

    /// Has the next chunks read while the one before is written.
    fn read_ahead(&mut self) {
        while self.ahead.len() < AHEAD
            && let Some(job) = self.handle.outbox.take_chunk()
        {
            let mut chunk = self.common.buffers.take(DATA_HEADER + job.length as usize);
            let reading = tokio::task::spawn_blocking(move || {
                let mut header = BytesMut::with_capacity(DATA_HEADER);
                encode_data_header(job.which, job.length, &mut header);
                let (head, body) = chunk.split_at_mut(DATA_HEADER);
                head.copy_from_slice(&header);
                job.supply.read(job.which.chunk, body).map(|()| chunk)
            });
            self.ahead.push_back((job.which, reading));
        }
    }

    async fn answer(&mut self, which: ChunkId, chunk: io::Result<Buffer>) -> Result<(), Ended> {
        self.handle.ledger.answered(which);
        let went = match chunk {
            Ok(chunk) => {
                if self.common.up.is_limited() {
                    for piece in chunk.chunks(PIECE) {
                        self.common.up.take(piece.len() as u64).await;
                        self.all(piece).await?;
                    }
                } else {
                    self.all(&chunk).await?;
                }
                Ok((chunk.len() - DATA_HEADER) as u32)
            }
            Err(error) => {
                let mut refusal = BytesMut::new();
                encode(&Frame::Refused { which, busy: false }, &mut refusal);
                self.all(&refusal).await?;
                Err(error.to_string())
            }
        };
        // The engine outlives its sessions; if it is gone, nobody needs to know.
        let _ = self.common.news.send((self.id, News::Went(which, went))).await;
        Ok(())
    }

    /// Writes all of it, for as long as the peer takes some bytes within the time.
    async fn all(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        let patience = self.common.times.silence;
        let broken = |error: io::Error| Ended::Broken(error.to_string());
        while !bytes.is_empty() {
            let written = timeout(patience, self.write.write(bytes)).await.map_err(|_| Ended::Stuck(patience))?;
            match written.map_err(broken)? {
                0 => return Err(broken(io::ErrorKind::WriteZero.into())),
                written => bytes = &bytes[written..],
            }
        }
        let flushed = timeout(patience, self.write.flush()).await.map_err(|_| Ended::Stuck(patience))?;
        flushed.map_err(broken)
    }
}
