use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;

use crate::error::{DbError, Result};

/// A wish that something long ends soon. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    wished: Arc<AtomicBool>,
    after: Option<Instant>,
}

impl Stop {
    /// One that is wished by itself when so much time has passed.
    pub fn after(time: Duration) -> Self {
        Self { after: Instant::now().checked_add(time), ..Self::default() }
    }

    /// Wishes it.
    pub fn set(&self) {
        self.wished.store(true, Ordering::Relaxed);
    }

    /// Whether it is wished.
    pub fn is_set(&self) -> bool {
        self.wished.load(Ordering::Relaxed) || self.after.is_some_and(|end| Instant::now() >= end)
    }
}

/// How far something long is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is done: `checking`, `copying`.
    pub doing: &'static str,
    /// To which file.
    pub path: &'a Path,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 if nobody knows.
    pub of: u64,
}

/// What the caller of something long hears, and how it stops it.
pub struct Course<'a> {
    stop: Stop,
    tell: Box<dyn FnMut(&Progress<'_>) + 'a>,
}

impl<'a> Course<'a> {
    /// Tells how far it is, often.
    pub fn new(stop: Stop, tell: impl FnMut(&Progress<'_>) + 'a) -> Self {
        Self { stop, tell: Box::new(tell) }
    }

    /// Tells nothing and is never stopped.
    pub fn silent() -> Self {
        Self::new(Stop::default(), |_| {})
    }

    /// So much is done.
    ///
    /// # Errors
    ///
    /// If it shall stop.
    pub(crate) fn at(&mut self, doing: &'static str, path: &Path, done: u64, of: u64) -> Result<()> {
        if self.stop.is_set() {
            return Err(DbError::Stopped(path.to_owned()));
        }
        (self.tell)(&Progress { doing, path, done, of });
        Ok(())
    }

    /// Makes the statements of a connection end with an error when it shall stop.
    pub(crate) fn can_stop(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        /// Of SQLite's virtual machine: a millisecond or less.
        const STEPS: i32 = 20_000;
        let stop = self.stop.clone();
        connection.progress_handler(STEPS, Some(move || stop.is_set()))
    }
}

impl std::fmt::Debug for Course<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Course").field("stop", &self.stop).finish_non_exhaustive()
    }
}
