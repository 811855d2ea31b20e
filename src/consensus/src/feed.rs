//! What is agreed, for readers.

use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::{StreamExt, stream, stream::BoxStream};
use ringrift_state::{Agreed, Update};
use tokio::sync::watch;

use crate::store::Store;

/// So many entries are read from the log at once.
const BATCH: usize = 64;

/// A reader that is further behind gets a snapshot: it is shorter than the entries.
const FAR_BEHIND: u64 = 1024;

/// Holds the newest agreed state. Readers never wait for a writer.
pub(crate) struct Feed {
    agreed: ArcSwap<Agreed>,
    published: watch::Sender<Published>,
}

#[derive(Clone, Copy)]
struct Published {
    index: u64,
    /// Up to here the state came as a whole. The log may hold entries that this voter had appended in their place, and that were
    /// never agreed on.
    whole: u64,
    /// Nothing more will come.
    ended: bool,
}

impl Feed {
    pub(crate) fn new(agreed: Agreed) -> Self {
        let published = watch::Sender::new(Published { index: agreed.index, whole: agreed.index, ended: false });
        Self { agreed: ArcSwap::from_pointee(agreed), published }
    }

    /// The newest published state.
    pub(crate) fn agreed(&self) -> Arc<Agreed> {
        self.agreed.load_full()
    }

    /// Publishes a state that entries of the log led to. Cheap enough for every batch: clones of the state share what did not change.
    pub(crate) fn publish(&self, agreed: Agreed) {
        let index = agreed.index;
        self.agreed.store(Arc::new(agreed));
        self.published.send_modify(|published| published.index = index);
    }

    /// Publishes a state that came as a snapshot.
    pub(crate) fn publish_whole(&self, agreed: Agreed) {
        let index = agreed.index;
        self.agreed.store(Arc::new(agreed));
        self.published.send_modify(|published| (published.index, published.whole) = (index, index));
    }

    /// Ends all readers' streams.
    pub(crate) fn end(&self) {
        self.published.send_modify(|published| published.ended = true);
    }

    /// Everything from entry `from` on, without gaps. Nothing is buffered for a reader: it reads the log at its own pace,
    /// and gets the state as a whole when the log has been cut meanwhile.
    pub(crate) fn subscribe(&self, feed: Arc<Self>, store: Store, from: u64) -> BoxStream<'static, Update> {
        let reader = Reader { feed, store, published: self.published.subscribe(), next: from.max(1) };
        stream::unfold(reader, |mut reader| async move {
            let updates = reader.next().await?;
            Some((stream::iter(updates), reader))
        })
        .flatten()
        .boxed()
    }
}

struct Reader {
    feed: Arc<Feed>,
    store: Store,
    published: watch::Receiver<Published>,
    /// Index of the next entry. Entry 0 is the founding voter set, which carries nothing.
    next: u64,
}

impl Reader {
    async fn next(&mut self) -> Option<Vec<Update>> {
        let news = self.published.wait_for(|published| published.ended || published.index >= self.next).await;
        let Published { index, whole, .. } = *news.ok().filter(|published| !published.ended)?;
        if self.next > whole
            && index - self.next < FAR_BEHIND
            && let Some(updates) = self.store.updates(self.next, index, BATCH)
        {
            self.next += updates.len() as u64;
            return Some(updates);
        }
        let agreed = self.feed.agreed();
        self.next = agreed.index + 1;
        Some(vec![Update::Snapshot(agreed)])
    }
}
