//! How does a node that does not vote learn what is agreed? It keeps one stream to a voter.
//!
//! A voter runs one [`Hub`], which reads its own agreed state from a [`Source`] and serves any number of streams. Every
//! other node runs one [`Follower`], which opens a stream through a [`Dialer`], applies what comes with the same `apply`
//! as the voters, publishes it, and keeps a copy on disk for the next start.

mod follower;
mod hub;
mod leadership;
mod status;

pub use follower::{Dialer, Follower, FollowerConfig, StartError};
pub use hub::{Hub, HubConfig, ServeError};
pub use leadership::{Leadership, Source};
pub use status::FollowStatus;

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream between two nodes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for S {}

/// A stream of any kind.
pub type BoxedStream = Box<dyn ByteStream>;
