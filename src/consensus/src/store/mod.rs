//! The durable log: what this voter has promised, on disk before it is said.
//!
//! One redb file holds the vote, the log, the snapshot and this node's standing. All of the log that is not yet part of an
//! old snapshot is also kept in memory (a few thousand entries at most), so that nothing ever waits for a read; one
//! thread writes, and whatever has queued up while it waited for the disk goes into its next commit together.

mod file;
mod log;
mod mirror;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use openraft::storage::IOFlushed;
use ringrift_config::NodeId;
use ringrift_state::Update;
use tokio::sync::oneshot;

use self::writer::{Done, Job, Writer};
pub(crate) use self::{
    file::{Change, File, Standing, StateImage},
    log::Log,
    mirror::Mirror,
};
use crate::{error::StartError, types::Types};

/// A handle to the open store.
#[derive(Clone)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    mirror: Mutex<Mirror>,
    writer: Writer,
    path: PathBuf,
}

impl Store {
    /// Opens the store of `node` in `dir`, or makes an empty one. `inline` is for tests in simulated time.
    ///
    /// Reads the whole file: call it where blocking is allowed.
    pub(crate) fn open(dir: &Path, node: &NodeId, inline: bool) -> Result<Self, StartError> {
        let (file, mirror) = File::open(dir, node)?;
        let path = file.path().to_owned();
        let writer = Writer::new(file, inline).map_err(|error| StartError::Io { path: path.clone(), error })?;
        Ok(Self { shared: Arc::new(Shared { mirror: Mutex::new(mirror), writer, path }) })
    }

    /// Whether it is written where somebody asks for it, as in simulated time.
    pub(crate) fn is_inline(&self) -> bool {
        self.shared.writer.is_inline()
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What is stored, and what is on its way there. Held for moments only.
    pub(crate) fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.shared.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Committed entries of `from..=to` for a reader, at most `limit`; `None` if the first is no longer at hand.
    pub(crate) fn updates(&self, from: u64, to: u64, limit: usize) -> Option<Vec<Update>> {
        self.mirror().updates(from, to, limit)
    }

    /// Has the standing on disk.
    pub(crate) async fn set_standing(&self, standing: Standing) -> io::Result<()> {
        self.write(Change::Standing(standing.clone())).await?;
        self.mirror().standing = standing;
        Ok(())
    }

    /// Has a snapshot on disk, in the place of an older one.
    pub(crate) async fn set_snapshot(&self, image: Arc<StateImage>, bytes: Bytes) -> io::Result<()> {
        let written = {
            // Queued under the lock, so that of two snapshots the newer one is also written last.
            let mut mirror = self.mirror();
            if mirror.snapshot.as_ref().is_some_and(|(held, _)| held.head.last > image.head.last) {
                return Ok(());
            }
            mirror.snapshot = Some((image, bytes.clone()));
            self.queue(Change::Snapshot(bytes))?
        };
        written.await.map_err(|_| closed())?
    }

    /// Returns when the writer has gone through everything queued before.
    pub(crate) async fn ping(&self) -> io::Result<()> {
        let (tx, rx) = oneshot::channel();
        self.send(Job { change: None, done: Done::Reply(tx) })?;
        rx.await.map_err(|_| closed())?
    }

    /// Makes the writer stand still for ever, as a disk does that answers no more. Not for inline writers.
    pub(crate) fn hang(&self) {
        // A closed store writes no more anyway.
        let _ = self.send(Job { change: None, done: Done::Never });
    }

    /// Writes everything that is queued and closes the file.
    pub(crate) async fn close(&self) {
        if self.is_inline() {
            return self.shared.writer.close();
        }
        let shared = self.shared.clone();
        // An error would be a panic in there, which has been logged.
        let _ = tokio::task::spawn_blocking(move || shared.writer.close()).await;
    }

    /// Closes the file and loses what is queued.
    #[cfg(test)]
    pub(crate) fn cut(&self) {
        self.shared.writer.cut();
    }

    async fn write(&self, change: Change) -> io::Result<()> {
        self.queue(change)?.await.map_err(|_| closed())?
    }

    fn queue(&self, change: Change) -> io::Result<oneshot::Receiver<io::Result<()>>> {
        let (tx, rx) = oneshot::channel();
        self.send(Job { change: Some(change), done: Done::Reply(tx) })?;
        Ok(rx)
    }

    /// Queues a change that may reach the disk together with the next one.
    fn write_later(&self, change: Change) -> io::Result<()> {
        self.send(Job { change: Some(change), done: Done::Nobody })
    }

    fn append(&self, entries: Vec<(u64, Vec<u8>)>, flushed: IOFlushed<Types>) -> io::Result<()> {
        self.send(Job { change: Some(Change::Append(entries)), done: Done::Flushed(flushed) })
    }

    fn send(&self, job: Job) -> io::Result<()> {
        self.shared.writer.send(job).ok_or_else(closed)
    }
}

fn closed() -> io::Error {
    io::Error::other("the consensus log is closed")
}
