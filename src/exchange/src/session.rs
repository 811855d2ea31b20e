use std::sync::Arc;
use std::time::Duration;

use ringrift_config::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::breach::Ended;
use crate::bucket::Bucket;
use crate::buffers::Buffers;
use crate::ledger::Ledger;
use crate::outbox::Outbox;
use crate::reader::Reader;
use crate::storage::Put;
use crate::wire::{ChunkId, Frame};
use crate::writer::Writer;

/// A stream to another node that has proved who it is.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// A stream of any kind.
pub type BoxedStream = Box<dyn ByteStream>;

/// Times of a session. Both ends should have the same.
#[derive(Debug, Clone)]
pub struct SessionTimes {
    /// How long nothing is written before a sign of life is.
    pub keep_alive: Duration,
    /// How long nothing may come, or go, before the peer is given up. Several times `keep_alive`.
    pub silence: Duration,
    /// How long the greeting may take.
    pub greeting: Duration,
    /// How long the peer may take to close its end after a goodbye.
    pub goodbye: Duration,
}

impl Default for SessionTimes {
    /// Signs of life every 10 s, given up after 30 s, 10 s for the greeting, 1 s for the goodbye.
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            greeting: Duration::from_secs(10),
            goodbye: Duration::from_secs(1),
        }
    }
}

/// What all sessions of a node have in common.
pub(crate) struct Common {
    pub(crate) node: NodeId,
    pub(crate) instance: u64,
    pub(crate) times: SessionTimes,
    pub(crate) up: Bucket,
    pub(crate) down: Bucket,
    pub(crate) buffers: Arc<Buffers>,
    /// Chunks that are verified at the same time, in all sessions together.
    pub(crate) verifying: Arc<Semaphore>,
    /// How many those are at most.
    pub(crate) verifiers: u32,
    pub(crate) news: mpsc::Sender<(SessionId, News)>,
}

/// Counts the sessions of a node.
pub(crate) type SessionId = u64;

/// What a session tells the engine.
#[derive(Debug)]
pub(crate) enum News {
    /// The peer greeted; it was started as this instance.
    Up(u64),
    /// The peer said this. Greetings, farewells, refusals and signs of life end in the session.
    Said(Frame),
    /// The peer refused a request.
    Refused {
        /// Which.
        which: ChunkId,
        /// Whether it is worth asking again.
        busy: bool,
    },
    /// A request was answered. May come after the session is over.
    Came(Came),
    /// A chunk was written to the stream, with so many bytes; or it could not be read, and the session told the peer.
    Went(ChunkId, Result<u32, String>),
    /// It is over.
    Over(Ended),
}

/// A chunk that came, and what became of it.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) peer: NodeId,
    pub(crate) which: ChunkId,
    /// Its bytes, how many.
    pub(crate) length: u32,
    /// The life of the fetch for which it was asked.
    pub(crate) life: u64,
    pub(crate) put: Put,
}

/// The ends of a session that its engine holds.
pub(crate) struct Handle {
    pub(crate) outbox: Outbox,
    pub(crate) ledger: Ledger,
    /// Ends it at once.
    pub(crate) stop: CancellationToken,
}

impl Handle {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self { outbox: Outbox::default(), ledger: Ledger::default(), stop }
    }
}

/// One session from greeting to end: a task that reads, and one that writes.
pub(crate) async fn run(id: SessionId, peer: NodeId, stream: BoxedStream, common: Arc<Common>, handle: Arc<Handle>) {
    let (read, write) = tokio::io::split(stream);
    let writer = Writer::new(write, id, Arc::clone(&common), Arc::clone(&handle));
    let mut writing = AbortOnDropHandle::new(tokio::spawn(writer.run()));
    let mut reader = Reader::new(read, id, peer, Arc::clone(&common), Arc::clone(&handle));
    let ended = {
        let reading = reader.run();
        tokio::pin!(reading);
        tokio::select! {
            biased;
            () = handle.stop.cancelled() => Ended::Dismissed(crate::wire::Farewell::Stopping),
            ended = &mut reading => ended,
            ended = &mut writing => match ended {
                // The goodbye is out. What the peer still sends is read, so that closing resets nothing on its way.
                Ok(Ended::Dismissed(farewell)) => {
                    let _ = timeout(common.times.goodbye, &mut reading).await;
                    Ended::Dismissed(farewell)
                }
                Ok(ended) => ended,
                Err(error) => Ended::Broken(error.to_string()),
            },
        }
    };
    let _ = common.news.send((id, News::Over(ended))).await;
}
