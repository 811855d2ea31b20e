//! Who gets models over HTTP, and which bytes? The server on 8767, what nodes sign for it, and the routes for old clients on 8770.

mod access;
mod admission;
mod answer;
mod body;
mod conditions;
mod download;
mod error;
pub mod files;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod intake;
mod limits;
mod objects;
mod outq;
mod pace;
mod ranges;
mod refusal;
mod replay;
mod routes;
mod server;
pub mod signature;
mod swarm;
mod upload;
mod warm;
mod wire;

pub use access::{Access, Caller, OwnAddress};
pub use limits::Limits;
pub use pace::MinimumRate;
pub use server::{Callbacks, Handle, Server, ServerConfig, Swarm, Uploads};
pub use signature::{SignatureError, Signed, Signer, SigningKey, Verifier};
pub use swarm::{JoinError, PROTOCOL, SwarmStream, join};
pub use wire::Wire;
