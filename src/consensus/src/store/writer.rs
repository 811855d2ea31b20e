//! Writes, and tells when it is done.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;
#[cfg(test)]
use {
    std::sync::Arc,
    tokio::{sync::mpsc, task::AbortHandle},
};

use super::file::{Change, File};
use crate::types::Types;

/// A change that can wait is on disk after this long, even if nothing else is written.
const LATER: Duration = Duration::from_secs(1);

/// So many jobs go into one commit at most.
const BATCH: usize = 1024;

/// Something to write, and whom to tell.
pub(super) struct Job {
    /// Nothing, for a mere sign of life.
    pub(super) change: Option<Change>,
    pub(super) done: Done,
}

/// Whom to tell that a job is on disk.
pub(super) enum Done {
    Nobody,
    /// Nobody, ever, nor whoever comes after: the disk stands still.
    Never,
    Reply(oneshot::Sender<io::Result<()>>),
    Flushed(IOFlushed<Types>),
}

impl Done {
    fn tell(self, result: io::Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Never => loop {
                std::thread::park();
            },
            // Who no longer waits need not know.
            Self::Reply(tx) => drop(tx.send(result)),
            Self::Flushed(flushed) => flushed.io_completed(result),
        }
    }
}

/// Where jobs go.
pub(super) struct Writer {
    way: Mutex<Way>,
}

enum Way {
    /// To a thread, which takes all that has queued up while it waited for the disk into its next commit.
    Thread(Sender<Job>, JoinHandle<()>),
    /// Written before `send` returns. For tests in simulated time, which must not run on while a real disk works.
    Inline(Box<Pen>),
    /// Later, by a task: in simulated time, on a disk that takes some.
    #[cfg(test)]
    Later(mpsc::UnboundedSender<Job>, AbortHandle, Arc<Mutex<Option<Pen>>>),
    Closed,
}

impl Writer {
    pub(super) fn new(file: File, inline: bool) -> io::Result<Self> {
        let mut pen = Pen { file, later: Vec::new(), failed: None };
        #[cfg(test)]
        if let Some(lag) = pen.file.path().parent().and_then(crate::tests::storage::at).map(|disk| disk.lag()) {
            return Ok(Self { way: Mutex::new(Way::later(pen, lag)) });
        }
        let way = if inline {
            Way::Inline(Box::new(pen))
        } else {
            let (jobs, queue) = channel();
            let thread = std::thread::Builder::new().name("consensus-log".into());
            Way::Thread(jobs, thread.spawn(move || pen.run(&queue))?)
        };
        Ok(Self { way: Mutex::new(way) })
    }

    /// Queues a job; `None` when the store is closed.
    pub(super) fn send(&self, job: Job) -> Option<()> {
        match &mut *self.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Way::Thread(jobs, _) => jobs.send(job).ok(),
            Way::Inline(pen) => {
                pen.write([job], false);
                Some(())
            }
            #[cfg(test)]
            Way::Later(jobs, ..) => jobs.send(job).ok(),
            Way::Closed => None,
        }
    }

    pub(super) fn is_inline(&self) -> bool {
        match &*self.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Way::Inline(_) => true,
            #[cfg(test)]
            Way::Later(..) => true,
            Way::Thread(..) | Way::Closed => false,
        }
    }

    /// Writes everything that is queued and closes the file. Blocks.
    pub(super) fn close(&self) {
        match std::mem::replace(&mut *self.way.lock().unwrap_or_else(PoisonError::into_inner), Way::Closed) {
            Way::Thread(jobs, thread) => {
                drop(jobs);
                // A panic in the thread has been logged, and its callers have seen the closed channel.
                let _ = thread.join();
            }
            Way::Inline(mut pen) => pen.write([], true),
            #[cfg(test)]
            Way::Later(_, task, pen) => {
                task.abort();
                if let Some(mut pen) = pen.lock().unwrap().take() {
                    pen.write([], true);
                }
            }
            Way::Closed => {}
        }
    }

    /// Closes the file and loses what waits for the next commit, as a process does that is killed.
    #[cfg(test)]
    pub(super) fn cut(&self) {
        let way = std::mem::replace(&mut *self.way.lock().unwrap(), Way::Closed);
        if let Way::Later(_, task, pen) = way {
            task.abort();
            let pen = pen.lock().unwrap().take();
            // What redb writes when it is closed, a killed process does not write.
            if let Some(disk) = pen.as_ref().and_then(|pen| crate::tests::storage::at(pen.file.path().parent()?)) {
                disk.left();
            }
        }
    }
}

#[cfg(test)]
impl Way {
    /// Each commit takes up to `lag`, and takes in what has come meanwhile.
    fn later(pen: Pen, lag: Duration) -> Self {
        let (jobs, mut queue) = mpsc::unbounded_channel::<Job>();
        let pen = Arc::new(Mutex::new(Some(pen)));
        let held = pen.clone();
        let writing = crate::runtime::part(async move {
            while let Some(first) = queue.recv().await {
                tokio::time::sleep(lag.mul_f64(crate::runtime::random())).await;
                let jobs = [first].into_iter().chain(std::iter::from_fn(|| queue.try_recv().ok()));
                if let Some(pen) = &mut *held.lock().unwrap() {
                    pen.write(jobs, false);
                }
            }
        });
        Self::Later(jobs, tokio::spawn(writing).abort_handle(), pen)
    }
}

/// The hand that writes.
struct Pen {
    file: File,
    /// Changes that nobody waits for: they join the next commit that somebody does wait for.
    later: Vec<Change>,
    failed: Option<String>,
}

impl Pen {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            let first = if self.later.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(LATER)
            };
            match first {
                Ok(job) => self.write([job].into_iter().chain(jobs.try_iter().take(BATCH)), false),
                Err(RecvTimeoutError::Timeout) => self.write([], true),
                Err(RecvTimeoutError::Disconnected) => return self.write([], true),
            }
        }
    }

    /// Takes the jobs in, and writes if somebody waits or `now`.
    fn write(&mut self, jobs: impl IntoIterator<Item = Job>, now: bool) {
        let mut waiting = Vec::new();
        let mut urgent = now;
        for job in jobs {
            urgent |= job.change.is_some() && !matches!(job.done, Done::Nobody);
            self.later.extend(job.change);
            waiting.push(job.done);
        }
        if self.failed.is_none() && urgent && !self.later.is_empty() {
            let changes = std::mem::take(&mut self.later);
            if let Err(error) = self.file.commit(&changes) {
                let path = self.file.path().display();
                tracing::error!(%path, %error, "the consensus log cannot be written; this voter stops");
                self.failed = Some(error.to_string());
            }
        }
        if self.failed.is_some() {
            // Never again: what the disk holds now is known only after the file was opened anew.
            self.later.clear();
        }
        for done in waiting {
            done.tell(self.failed.as_ref().map_or(Ok(()), |error| Err(io::Error::other(error.clone()))));
        }
    }
}
