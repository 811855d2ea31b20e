//! How do two nodes talk?
//!
//! Mutual TLS 1.3 on port 8765, one TCP connection per pair of nodes, many streams on it (yamux), opened by either end.
//! A node that only dials out is reached over the connections it made, or through a relay: the relay passes bytes on,
//! the two ends authenticate each other inside them.

mod accept;
mod authority;
mod back_off;
mod book;
mod certified_name;
mod control;
mod credentials;
mod dial;
mod error;
mod establish;
mod event;
mod frame;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod handler;
mod handshake;
mod hello;
mod identity;
mod limits;
mod link;
mod links;
mod mux;
mod peer;
mod protocol;
mod relay;
mod serve;
mod stream;
mod table;
mod tls_reason;
mod trust;
mod wire;

pub use book::{AddressBook, Routes};
pub use error::{IdentityError, LinkError};
pub use event::LinkEvent;
pub use handler::Handler;
pub use identity::Identity;
pub use limits::Limits;
pub use links::{LinkConfig, Links};
pub use peer::{Direction, LinkInfo, Peer};
pub use protocol::Protocol;
pub use stream::Stream;
