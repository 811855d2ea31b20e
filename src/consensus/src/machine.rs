//! The state machine: applies what is committed and makes snapshots of it.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::{
    OptionalSend, RaftSnapshotBuilder,
    storage::{EntryResponder, RaftStateMachine},
};
use ringrift_state::{Agreed, EntryMeta, Outcome};

use crate::{
    feed::Feed,
    record::SnapshotHead,
    store::{StateImage, Store},
    types::{Applied, Entry, EntryPayload, LogId, Proposal, Snapshot, SnapshotMeta, StoredMembership, Types, term_of},
};

/// The agreed state, changed by Raft alone.
///
/// It is in memory; the snapshot and the log on disk are what it is made from again at the next start.
pub(crate) struct Machine {
    agreed: Agreed,
    last: Option<LogId>,
    voters: StoredMembership,
    feed: Arc<Feed>,
    store: Store,
}

impl Machine {
    /// The state as the newest snapshot has it, and where readers find it.
    pub(crate) fn new(store: Store) -> (Self, Arc<Feed>) {
        let image = store.mirror().snapshot.as_ref().map(|(image, _)| image.clone());
        let meta = image.as_ref().map(|image| SnapshotMeta::from(&image.head)).unwrap_or_default();
        let agreed = image.map(|image| image.agreed.clone()).unwrap_or_default();
        let feed = Arc::new(Feed::new(agreed.clone()));
        (Self { agreed, last: meta.last_log_id, voters: meta.last_membership, feed: feed.clone(), store }, feed)
    }

    fn apply_one(&mut self, entry: &Entry) -> Option<Outcome> {
        let meta = EntryMeta { term: term_of(&entry.log_id), index: entry.log_id.index() };
        self.last = Some(entry.log_id);
        self.agreed.index = meta.index;
        self.agreed.term = meta.term;
        match &entry.payload {
            EntryPayload::Blank => None,
            EntryPayload::Membership(membership) => {
                self.voters = StoredMembership::new(Some(entry.log_id), membership.clone());
                None
            }
            EntryPayload::Normal(Proposal(command)) => {
                let outcome = self.agreed.state.apply(meta, command);
                if !self.agreed.state.cluster_id.is_empty() {
                    self.agreed.cluster_id.clone_from(&self.agreed.state.cluster_id);
                }
                Some(outcome)
            }
        }
    }

    fn head(&self) -> SnapshotHead {
        let meta = SnapshotMeta { last_log_id: self.last, last_membership: self.voters.clone() };
        SnapshotHead::from(&meta)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last, self.voters.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            let outcome = self.apply_one(&entry);
            answers.extend(responder.map(|responder| (responder, outcome)));
        }
        // Published first: who has its answer finds it in the published state.
        self.feed.publish(self.agreed.clone());
        for (responder, outcome) in answers {
            responder.send(Applied(outcome));
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { image: StateImage { head: self.head(), agreed: self.agreed.clone() }, store: self.store.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Bytes) -> io::Result<()> {
        let image: StateImage = ringrift_state::decode(&snapshot)
            .map_err(|e| io::Error::other(format!("the leader's snapshot cannot be decoded ({e})")))?;
        if image.head != SnapshotHead::from(meta) {
            return Err(io::Error::other("the leader's snapshot is not the one that it announced"));
        }
        let image = Arc::new(image);
        self.store.set_snapshot(image.clone(), snapshot).await?;
        self.agreed = image.agreed.clone();
        self.last = meta.last_log_id;
        self.voters = meta.last_membership.clone();
        self.feed.publish_whole(self.agreed.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let mirror = self.store.mirror();
        let snapshot = mirror.snapshot.as_ref();
        Ok(snapshot.map(|(image, bytes)| Snapshot { meta: (&image.head).into(), snapshot: bytes.clone() }))
    }
}

/// Makes a snapshot of the state as it was when it was asked for.
pub(crate) struct Builder {
    image: StateImage,
    store: Store,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let image = Arc::new(self.image.clone());
        let encoded = image.clone();
        let encode = move || ringrift_state::encode(&*encoded);
        // Simulated time must not depend on when another thread is done.
        let bytes = if self.store.is_inline() { Ok(encode()) } else { tokio::task::spawn_blocking(encode).await };
        let bytes = bytes.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let bytes = Bytes::from(bytes);
        let meta = SnapshotMeta::from(&image.head);
        self.store.set_snapshot(image, bytes.clone()).await?;
        Ok(Snapshot { meta, snapshot: bytes })
    }
}
