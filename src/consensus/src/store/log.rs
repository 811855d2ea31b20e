//! The log and the vote as Raft wants to see them.

use std::{fmt::Debug, io, ops::RangeBounds};

use openraft::{
    OptionalSend, RaftLogReader,
    storage::{IOFlushed, LogState, RaftLogStorage},
};

use super::{Change, Store};
use crate::{
    record::Record,
    types::{Entry, LogId, Types, Vote},
};

/// Raft's handle to the log.
#[derive(Clone)]
pub(crate) struct Log(pub(crate) Store);

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.0.mirror().range((range.start_bound().cloned(), range.end_bound().cloned())))
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.mirror().vote.clone())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        Ok(self.0.mirror().first_of(start..end))
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let mirror = self.0.mirror();
        Ok(LogState { last_purged_log_id: mirror.purged, last_log_id: mirror.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.0.write(Change::Vote(vote.into())).await?;
        self.0.mirror().vote = Some(vote.clone());
        Ok(())
    }

    /// Not a promise: without it a restarted node only takes longer to know what it already applied.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.0.mirror().committed = committed;
        self.0.write_later(Change::Committed(committed.map(Into::into)))
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.mirror().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        {
            let mut mirror = self.0.mirror();
            for entry in entries {
                let bytes = ringrift_state::encode(&Record::from(&entry)).map_err(io::Error::other)?;
                let (index, size) = (entry.log_id.index(), bytes.len());
                mirror.push(entry, size);
                encoded.push((index, bytes));
            }
        }
        self.0.append(encoded, callback)
    }

    /// Need not be on disk at once: nothing that replaces these entries can be there before.
    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index() + 1);
        self.0.mirror().truncate(from);
        self.0.write_later(Change::Truncate(from))
    }

    /// Need not be on disk at once: the entries are in a snapshot that is.
    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.0.mirror().purge(upto);
        self.0.write_later(Change::Purge(upto.into()))
    }
}
