//! One watcher, as its voter serves it.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use ringrift_config::NodeId;
use ringrift_state::{ClusterId, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::FramedRead;

use crate::ByteStream;
use crate::hub::Shared;
use crate::ring::Next;
use crate::wire::{Hello, Kind, MAX_HELLO, VERSION, codec, frame};

/// How many bytes of entries are written between two looks at the leadership.
const BATCH: usize = 256 << 10;

/// Why a watcher is no longer served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The voter stops.
    #[error("this voter stops")]
    Stopped,
    /// There are too many.
    #[error("{watcher} was not served: {max} nodes watch this voter already, and more are not allowed")]
    Full {
        /// Who wanted to watch.
        watcher: NodeId,
        /// How many may.
        max: usize,
    },
    /// Another version of the protocol.
    #[error(
        "{watcher} speaks version {found} of the watch protocol, and this voter version {VERSION}: upgrade the older one"
    )]
    Version {
        /// Who wanted to watch.
        watcher: NodeId,
        /// Its version.
        found: u8,
    },
    /// Its greeting makes no sense.
    #[error("{watcher} sent a greeting that cannot be read: {reason}")]
    Greeting {
        /// Who wanted to watch.
        watcher: NodeId,
        /// What is wrong.
        reason: String,
    },
    /// It gives itself another name than the link does.
    #[error("{watcher} calls itself {claimed}: its node id and its certificate differ")]
    Name {
        /// Who it is.
        watcher: NodeId,
        /// Who it says it is.
        claimed: NodeId,
    },
    /// It follows another cluster.
    #[error(
        "{watcher} follows the cluster {theirs}, and this voter belongs to {ours}: its copy of the state is not from here"
    )]
    OtherCluster {
        /// Who wanted to watch.
        watcher: NodeId,
        /// Its cluster.
        theirs: String,
        /// This voter's.
        ours: String,
    },
    /// The cluster came back from a lost majority.
    #[error("the cluster was recovered under a new id: {watcher} must begin anew from the recovered state")]
    Recovered {
        /// Who watched the lost one.
        watcher: NodeId,
    },
    /// It takes nothing.
    #[error("{watcher} took no bytes for {after:?} and was dropped")]
    Stuck {
        /// Who.
        watcher: NodeId,
        /// How long.
        after: Duration,
    },
    /// The stream broke.
    #[error("the stream to {watcher} broke: {source}")]
    Stream {
        /// To whom.
        watcher: NodeId,
        /// What happened.
        source: io::Error,
    },
    /// The state cannot be sent.
    #[error("the state cannot be sent to {watcher}: {reason}")]
    Snapshot {
        /// To whom.
        watcher: NodeId,
        /// Why.
        reason: String,
    },
}

/// Serves one watcher until either side is gone; `full` if there are too many already.
pub(crate) async fn serve(
    hub: &Shared,
    watcher: &NodeId,
    stream: impl ByteStream,
    full: bool,
) -> Result<(), ServeError> {
    let (read, write) = tokio::io::split(stream);
    let mut writer = Writer { write, watcher, patience: hub.config.write_timeout };
    // Before the greeting is read: what comes after it in the log must not be missed.
    let mut tips = hub.tips();
    let era = hub.era();
    let mut read = codec_reader(read);
    let hello = tokio::select! {
        biased;
        () = hub.ended.cancelled() => return Err(ServeError::Stopped),
        hello = timeout(hub.config.write_timeout, greeted(watcher, &mut read)) => {
            hello.unwrap_or_else(|_| Err(greeting_error(watcher, "it did not come in time")))
        }
    };
    writer.all([Bytes::from_static(&[VERSION])]).await?;
    let hello = match hello.and_then(|hello| checked(hub, watcher, hello, full)) {
        Ok(hello) => hello,
        Err(refusal) => {
            let text = refusal.to_string();
            if let Ok(frame) = frame(Kind::Refusal, text.as_bytes()) {
                writer.all([frame]).await?;
                writer.end().await?;
            }
            return Err(refusal);
        }
    };
    // A watcher that holds another cluster's state, or says that it cannot go on, begins anew.
    let known = hello.cluster_id.is_empty() || hello.cluster_id == hub.agreed().cluster_id;
    let mut next = if known { hello.from_index } else { 0 };
    writer.all([hub.fresh_report()]).await?;
    let mut reported = tips.borrow_and_update().report;
    let speak = async {
        loop {
            let tip = *tips.borrow_and_update();
            if tip.report != reported {
                reported = tip.report;
                writer.all([hub.newest_report()]).await?;
            }
            match hub.entries(next, BATCH, era) {
                Next::Frames(frames) => {
                    next += frames.len() as u64;
                    writer.all(frames).await?;
                }
                Next::Gone => {
                    let snapshot = hub.snapshot().await;
                    let snapshot = snapshot.map_err(|error| ServeError::Snapshot {
                        watcher: watcher.clone(),
                        reason: error.to_string(),
                    })?;
                    next = snapshot.index + 1;
                    writer.all(snapshot.frames.iter().cloned()).await?;
                }
                Next::Over => return Err(ServeError::Recovered { watcher: watcher.clone() }),
                Next::Wait => {
                    if tips.changed().await.is_err() {
                        return Err(ServeError::Stopped);
                    }
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = hub.ended.cancelled() => Err(ServeError::Stopped),
        // A watcher has nothing more to say: what comes now is its end, or nonsense.
        said = read.next() => match said {
            None => Ok(()),
            Some(Ok(_)) => Err(greeting_error(watcher, "it went on after its greeting")),
            Some(Err(source)) => Err(ServeError::Stream { watcher: watcher.clone(), source }),
        },
        ended = speak => ended,
    }
}

pub(crate) type HelloReader<R> = FramedRead<R, tokio_util::codec::LengthDelimitedCodec>;

pub(crate) fn codec_reader<R: AsyncRead>(read: R) -> HelloReader<R> {
    FramedRead::new(read, codec(MAX_HELLO))
}

pub(crate) async fn greeted<R: AsyncRead + Unpin>(
    watcher: &NodeId,
    read: &mut HelloReader<R>,
) -> Result<Hello, ServeError> {
    let broken = |source| ServeError::Stream { watcher: watcher.clone(), source };
    let found = read.get_mut().read_u8().await.map_err(broken)?;
    if found != VERSION {
        return Err(ServeError::Version { watcher: watcher.clone(), found });
    }
    match read.next().await {
        None => Err(greeting_error(watcher, "the stream ended before it")),
        Some(Err(error)) => Err(greeting_error(watcher, &error.to_string())),
        Some(Ok(bytes)) => decode(&bytes).map_err(|error| greeting_error(watcher, &error.to_string())),
    }
}

fn checked(hub: &Shared, watcher: &NodeId, hello: Hello, full: bool) -> Result<Hello, ServeError> {
    if full {
        return Err(ServeError::Full { watcher: watcher.clone(), max: hub.config.max_watchers });
    }
    if hello.node != *watcher {
        return Err(ServeError::Name { watcher: watcher.clone(), claimed: hello.node });
    }
    let ours = hub.agreed().cluster_id.clone();
    let theirs = &hello.cluster_id;
    let foreign = !theirs.is_empty() && !ours.is_empty() && *theirs != ours;
    if foreign && !ClusterId::parse(&ours).succeeds(&ClusterId::parse(theirs)) {
        return Err(ServeError::OtherCluster { watcher: watcher.clone(), theirs: hello.cluster_id, ours });
    }
    Ok(hello)
}

fn greeting_error(watcher: &NodeId, reason: &str) -> ServeError {
    ServeError::Greeting { watcher: watcher.clone(), reason: reason.to_owned() }
}

/// Writes to a watcher for as long as it takes bytes.
struct Writer<'a, W> {
    write: W,
    watcher: &'a NodeId,
    patience: Duration,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    async fn all(&mut self, frames: impl IntoIterator<Item = Bytes>) -> Result<(), ServeError> {
        for mut frame in frames {
            // Some bytes must go within the time, not all: a snapshot may take longer over a thin line.
            while frame.has_remaining() {
                let written = timeout(self.patience, self.write.write_buf(&mut frame)).await;
                let written = self.in_time(written)?;
                if written == 0 {
                    return Err(self.broken(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        let flushed = timeout(self.patience, self.write.flush()).await;
        self.in_time(flushed)
    }

    async fn end(&mut self) -> Result<(), ServeError> {
        let ended = timeout(self.patience, self.write.shutdown()).await;
        self.in_time(ended)
    }

    fn in_time<T>(&self, done: Result<io::Result<T>, tokio::time::error::Elapsed>) -> Result<T, ServeError> {
        match done {
            Ok(done) => done.map_err(|source| self.broken(source)),
            Err(_) => Err(ServeError::Stuck { watcher: self.watcher.clone(), after: self.patience }),
        }
    }

    fn broken(&self, source: io::Error) -> ServeError {
        ServeError::Stream { watcher: self.watcher.clone(), source }
    }
}
