//! How do chunks travel between two nodes?
//!
//! One session for each pair of neighbours, over any stream that has proved who is at its other end. Both ends ask and serve,
//! whoever dialled, so a node that can only dial out is a source like any other. [`wire`] has the frames.
//!
//! An [`Engine`] owns the sessions of a node. It does what `ringrift_swarm`'s planner says: asks, serves, announces and refuses.
//! Each chunk is verified in the blocking pool before it is written, and served from that moment. What was verified is never lost
//! because its source lied, died or fell silent later, nor because this node is started again.
//!
//! Nothing grows without a bound: a session that is behind reads no further, so its peer is slowed down by the stream itself.

mod breach;
mod bucket;
mod buffers;
mod dial;
mod engine;
mod fetch;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod ledger;
mod outbox;
mod peer;
mod progress;
mod reader;
mod session;
mod storage;
mod store;
mod task;
mod wanted;
pub mod wire;
mod writer;

pub use breach::{Breach, Ended};
pub use bucket::Bucket;
pub use dial::Dialer;
pub use engine::{Engine, EngineConfig, Rates};
pub use progress::{ExchangeEvent, FetchState, Progress};
pub use session::{BoxedStream, ByteStream, SessionTimes};
pub use storage::{Opened, Part, Put, Sink, Storage, StorageError, Supply};
