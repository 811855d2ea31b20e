//! How does a node that does not vote learn what is agreed? It keeps one stream to a voter.
//!
//! A voter runs one [`Hub`], which reads its own agreed state from a [`Source`] and serves any number of streams. Every
//! other node runs one [`Follower`], which opens a stream through a [`Dialer`], applies what comes with the same `apply`
//! as the voters, publishes it, and keeps a copy on disk for the next start.
//!
//! What a follower refuses, naming the voter and trying another:
//! - a term older than the highest in which it heard of a leader, also after a restart;
//! - another cluster than the one it follows, unless that is a recovered successor ([`ringrift_state::ClusterId`]), from
//!   which it takes a snapshot and the terms as they are there;
//! - a state that ends before its own; a log with a gap, after which it asks for a snapshot;
//! - silence for 3 s, and a voter that has known of no leader for 10 s.

mod cache;
mod dial;
mod follower;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod hub;
mod inbox;
mod leadership;
mod machine;
mod ring;
mod session;
mod status;
mod wire;

pub use cache::StartError;
pub use dial::Dialer;
pub use follower::{Follower, FollowerConfig};
pub use hub::{Hub, HubConfig};
pub use leadership::{Leadership, Source};
pub use session::ServeError;
pub use status::FollowStatus;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream between two nodes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// A stream of any kind.
pub type BoxedStream = Box<dyn ByteStream>;
